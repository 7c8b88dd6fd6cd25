/**
 * What is read from pg_catalog, and how a change is noticed. Every query runs with an empty search_path (pg_catalog alone resolves
 * unqualified names, and deparsed definitions come out fully qualified), read only, under short timeouts.
 */
import { z } from 'zod';

/** `lock_timeout`: deparsing a view locks its tables; somebody's open DDL must not make the gateway wait. */
export const BEGIN = `begin isolation level repeatable read read only;
set local search_path = '';
set local statement_timeout = '10s';
set local lock_timeout = '300ms';
set local idle_in_transaction_session_timeout = '30s'`;

/** Rows of users: also what a superuser put into pg_catalog. 16384 is the first oid after initdb. */
const OURS = `(n.nspname <> 'information_schema' and n.nspname <> 'pg_catalog' and n.nspname not like 'pg\\_toast%' and n.nspname not like 'pg\\_temp\\_%')`;
const ours = (oid: string) =>
  `(${OURS} or (${oid} >= 16384 and n.nspname in ('pg_catalog', 'information_schema')))`;

const sum = (key: string) =>
  `pg_catalog.count(*) || ':' || coalesce(pg_catalog.sum(pg_catalog.hashtext(t.xmin::text || ':' || ${key})::bigint), 0)`;

/**
 * One short text that changes when any row it reads from did: a changed row has a new xmin, a deleted one changes the count.
 * Temporary relations and in-place updates (VACUUM, ANALYZE) do not change it.
 */
export const DIGEST = `select pg_catalog.md5(pg_catalog.concat_ws(',',
  pg_catalog.current_database(), pg_catalog.current_setting('server_version_num'),
  (select ${sum('t.oid::text')} from pg_namespace t where t.nspname not like 'pg\\_temp\\_%' and t.nspname not like 'pg\\_toast%'),
  (select ${sum('t.oid::text')} from pg_class t where t.relkind in ('r','v','m','p','f','S') and t.relpersistence <> 't' and t.oid >= 16384),
  (select ${sum("t.attrelid::text || ':' || t.attnum::text")} from pg_attribute t join pg_class c on c.oid = t.attrelid
     where c.relkind in ('r','v','m','p','f') and c.relpersistence <> 't' and c.oid >= 16384 and t.attnum > 0),
  (select ${sum('t.oid::text')} from pg_attrdef t where t.adrelid >= 16384),
  (select ${sum("t.objoid::text || ':' || t.objsubid::text")} from pg_description t where t.objoid >= 16384 and t.classoid = 'pg_class'::regclass),
  (select ${sum("t.inhrelid::text || ':' || t.inhparent::text")} from pg_inherits t where t.inhrelid >= 16384),
  (select ${sum('t.oid::text')} from pg_trigger t where not t.tgisinternal),
  (select ${sum('t.oid::text')} from pg_rewrite t where t.oid >= 16384),
  (select ${sum('t.oid::text')} from pg_constraint t where t.oid >= 16384 and (t.contype = 'f' or t.contypid <> 0)),
  (select ${sum('t.oid::text')} from pg_proc t where t.oid >= 16384 or t.xmin::text::bigint > 3),
  (select ${sum('t.oid::text')} from pg_operator t where t.oid >= 16384),
  (select ${sum('t.oid::text')} from pg_cast t where t.oid >= 16384),
  (select ${sum('t.oid::text')} from pg_type t where t.oid >= 16384 and t.typtype = 'd')
)) as value`;

export const SERVER = `select json_build_object('database', pg_catalog.current_database(),
  'serverVersion', pg_catalog.current_setting('server_version_num')::int) as value`;
export const serverShape = z.object({ database: z.string(), serverVersion: z.number() });

const list = (query: string) => `select coalesce(pg_catalog.json_agg(x), '[]') as value from (${query}) x`;

export const RELATIONS = list(`
  select c.oid::bigint as oid, n.nspname as schema, c.relname as name, c.relkind::text as relkind, c.reltuples::float8 as rows,
    c.relrowsecurity as "rowSecurity",
    exists (select from pg_rewrite r where r.ev_class = c.oid and r.rulename <> '_RETURN') as "hasRules",
    coalesce((select pg_catalog.json_agg(json_build_object('number', a.attnum, 'name', a.attname,
        'type', pg_catalog.format_type(a.atttypid, a.atttypmod),
        'comment', pg_catalog.col_description(c.oid, a.attnum),
        'generated', case when a.attgenerated <> '' then coalesce(pg_catalog.pg_get_expr(d.adbin, d.adrelid), '?') end) order by a.attnum)
      from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
      where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped), '[]') as columns,
    coalesce((select pg_catalog.json_agg(i.inhparent::bigint order by i.inhseqno) from pg_inherits i where i.inhrelid = c.oid), '[]') as parents,
    coalesce((select pg_catalog.json_agg(distinct pn.nspname || '.' || p.proname) from pg_trigger t join pg_proc p on p.oid = t.tgfoid
      join pg_namespace pn on pn.oid = p.pronamespace
      where t.tgrelid = c.oid and not t.tgisinternal and t.tgenabled <> 'D'), '[]') as triggers
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r','v','m','p','f','S') and c.relpersistence <> 't' and ${ours('c.oid')}
  order by c.oid`);
export const relationShape = z.array(
  z.object({
    oid: z.number(),
    schema: z.string(),
    name: z.string(),
    relkind: z.string(),
    rows: z.number(),
    rowSecurity: z.boolean(),
    hasRules: z.boolean(),
    columns: z.array(
      z.object({
        number: z.number(),
        name: z.string(),
        type: z.string(),
        comment: z.string().nullable(),
        generated: z.string().nullable(),
      }),
    ),
    parents: z.array(z.number()),
    triggers: z.array(z.string()),
  }),
);

/** Without `oid`: all views. Null where the view went away while it was read. */
export const definitions = (oid?: number) =>
  list(`select c.oid::bigint as oid, pg_catalog.pg_get_viewdef(c.oid) as text
  from pg_class c where c.relkind in ('v','m') and c.relpersistence <> 't' and c.oid >= 16384 ${oid === undefined ? '' : `and c.oid = ${Math.trunc(oid)}`}`);

/** SQL-standard bodies (BEGIN ATOMIC, PostgreSQL 14) leave prosrc empty. */
export const sqlBodies = (oid?: number) =>
  list(`select p.oid::bigint as oid, pg_catalog.pg_get_function_sqlbody(p.oid) as text
  from pg_proc p where p.prosqlbody is not null and p.oid >= 16384 ${oid === undefined ? '' : `and p.oid = ${Math.trunc(oid)}`}`);
export const textShape = z.array(z.object({ oid: z.number(), text: z.string().nullable() }));

export const FUNCTIONS = list(`
  select p.oid::bigint as oid, n.nspname as schema, p.proname as name, l.lanname as language, p.prokind::text as kind,
    p.provolatile::text as volatility, coalesce(p.proconfig, '{}') as config, p.prosecdef as "securityDefiner",
    case when l.lanname not in ('internal', 'c') and p.prosrc <> '' then p.prosrc end as body
  from pg_proc p join pg_namespace n on n.oid = p.pronamespace join pg_language l on l.oid = p.prolang
  where ${ours('p.oid')} order by p.oid`);
export const functionShape = z.array(
  z.object({
    oid: z.number(),
    schema: z.string(),
    name: z.string(),
    language: z.string(),
    kind: z.enum(['f', 'p', 'a', 'w']),
    volatility: z.enum(['i', 's', 'v']),
    config: z.array(z.string()),
    securityDefiner: z.boolean(),
    body: z.string().nullable(),
  }),
);

export const FOREIGN_KEYS = list(`
  select k.conrelid::bigint as "from", k.confrelid::bigint as "to",
    case k.confdeltype when 'c' then 'cascade' when 'n' then 'set null' when 'd' then 'set default' when 'r' then 'restrict' else 'no action' end as "onDelete"
  from pg_constraint k where k.contype = 'f' order by k.oid`);
export const foreignKeyShape = z.array(
  z.object({
    from: z.number(),
    to: z.number(),
    onDelete: z.enum(['cascade', 'set null', 'set default', 'restrict', 'no action']),
  }),
);

/** What runs functions of users without calling them by name: operators, casts (named by both types), domains with constraints. */
export const OPERATORS = list(`
  select n.nspname || '.' || o.oprname as name from pg_operator o join pg_namespace n on n.oid = o.oprnamespace where ${ours('o.oid')}
  union
  select n.nspname || '.' || t.typname from pg_cast k join pg_type t on t.oid in (k.castsource, k.casttarget)
    join pg_namespace n on n.oid = t.typnamespace where k.oid >= 16384 and k.castfunc <> 0
  union
  select n.nspname || '.' || t.typname from pg_type t join pg_namespace n on n.oid = t.typnamespace
    where t.typtype = 'd' and ${ours('t.oid')} and exists (select from pg_constraint k where k.contypid = t.oid)
  order by 1`);
export const operatorShape = z.array(z.object({ name: z.string() }));
