/**
 * What is read from pg_catalog, and how a change is noticed. Every query runs with an empty search_path (pg_catalog alone resolves
 * unqualified names, and deparsed definitions come out fully qualified), read only, under short timeouts.
 */
import { z } from 'zod';
import { CHECKED, calledIn, callsOf, POLICIES, reliedOnByBody } from './catalog-stored.ts';

/**
 * `lock_timeout`: deparsing a view locks its tables; somebody's open DDL must not make the gateway wait. `jit`: compiling these
 * queries takes a hundred times as long as running them.
 */
export const BEGIN = `begin isolation level repeatable read read only;
set local search_path = '';
set local statement_timeout = '10s';
set local lock_timeout = '300ms';
set local idle_in_transaction_session_timeout = '30s';
set local jit = off;
set local standard_conforming_strings = on`;

/** Rows of users: also what a superuser put into pg_catalog. 16384 is the first oid after initdb. */
const OURS = `(n.nspname <> 'information_schema' and n.nspname <> 'pg_catalog' and n.nspname not like 'pg\\_toast%' and n.nspname not like 'pg\\_temp\\_%')`;
export const ours = (oid: string) =>
  `(${OURS} or (${oid} >= 16384 and n.nspname in ('pg_catalog', 'information_schema')))`;

const sum = (key: string) =>
  `pg_catalog.count(*) || ':' || coalesce(pg_catalog.sum(pg_catalog.hashtext(t.xmin::text || ':' || ${key})::bigint), 0)`;

const parts = (...list: readonly string[]) =>
  `pg_catalog.md5(pg_catalog.concat_ws(',', ${list.join(',\n  ')}))`;
const part = (key: string, from: string) => `(select ${sum(key)} from ${from})`;
/** Of the estimated rows of relation t: statistics are written in place, so no xmin tells that a table grew. */
const MAGNITUDE = `case when t.reltuples > 0 then pg_catalog.ceil(pg_catalog.ln(greatest(t.reltuples, 64)::float8) / 0.6931)::text else '-' end`;
const PERMANENT = `relkind in ('r','v','m','p','f','S','c') and c.relpersistence <> 't'`;
const KINDS = `${PERMANENT} and c.oid >= 16384`;
/** Only then it matters who is a member of what. */
const FOR_ROLES = `exists (select from pg_policy p where 16384 <= all (p.polroles))`;
const KINDS_OURS = `${PERMANENT} and ${ours('c.oid')}`;

/**
 * Short texts that change when any row they read from did: a changed row has a new xmin, a deleted one changes the count. Temporary
 * relations and in-place updates (VACUUM, ANALYZE) do not change them, but for an estimate that doubled or halved. `relations`: what belongs to one relation each; `shared`: what
 * any of them may depend on.
 */
export const DIGEST = `select json_build_object('shared', ${parts(
  'pg_catalog.current_database()',
  "pg_catalog.current_setting('server_version_num')",
  part(
    't.oid::text',
    "pg_namespace t where t.nspname not like 'pg\\_temp\\_%' and t.nspname not like 'pg\\_toast%'",
  ),
  part('t.oid::text', 'pg_extension t'),
  part('t.oid::text', 'pg_event_trigger t'),
  part('t.oid::text', 'pg_proc t where t.oid >= 16384 or t.xmin::text::bigint > 3'),
  part('t.oid::text', 'pg_operator t where t.oid >= 16384'),
  part('t.oid::text', 'pg_cast t where t.oid >= 16384'),
  part('t.oid::text', 'pg_opclass t where t.oid >= 16384'),
  part('t.oid::text', 'pg_amproc t where t.oid >= 16384'),
  part('t.oid::text', 'pg_amop t where t.oid >= 16384'),
  part('t.oid::text', "pg_type t where t.oid >= 16384 and (t.typtype in ('d', 'r') or t.typmodin <> 0)"),
  // Composite types; the row types of tables are told by their tables.
  part(
    "t.attrelid::text || ':' || t.attnum::text",
    "pg_attribute t join pg_class c on c.oid = t.attrelid where c.relkind = 'c' and c.oid >= 16384",
  ),
  part('t.oid::text', 'pg_constraint t where t.contypid <> 0 and t.oid >= 16384'),
  part("t.roleid::text || ':' || t.member::text", `pg_auth_members t where ${FOR_ROLES}`),
  `(select pg_catalog.count(*) || ':' || coalesce(pg_catalog.sum(pg_catalog.hashtext(pg_catalog.concat_ws(':', t.oid, t.rolname, t.rolcanlogin, t.rolsuper))::bigint), 0)
    from pg_roles t where ${FOR_ROLES})`,
)}, 'relations', ${parts(
  part(`t.oid::text || ':' || ${MAGNITUDE}`, `pg_class t join pg_class c on c.oid = t.oid where c.${KINDS}`),
  part(
    "t.attrelid::text || ':' || t.attnum::text",
    `pg_attribute t join pg_class c on c.oid = t.attrelid where c.${KINDS} and t.attnum > 0`,
  ),
  part('t.oid::text', 'pg_attrdef t where t.adrelid >= 16384'),
  part(
    "t.objoid::text || ':' || t.objsubid::text",
    "pg_description t where t.objoid >= 16384 and t.classoid = 'pg_class'::regclass",
  ),
  part("t.inhrelid::text || ':' || t.inhparent::text", 'pg_inherits t where t.inhrelid >= 16384'),
  part('t.oid::text', 'pg_trigger t where not t.tgisinternal'),
  part('t.oid::text', 'pg_rewrite t where t.oid >= 16384'),
  part('t.oid::text', 'pg_constraint t where t.oid >= 16384'),
  part('t.oid::text', 'pg_policy t'),
  part('t.oid::text', 'pg_statistic_ext t'),
  part(
    "t.indexrelid::text || ':' || i.relname",
    'pg_index t join pg_class i on i.oid = t.indexrelid where t.indexrelid >= 16384',
  ),
)}) as value`;
export const digestShape = z.object({ shared: z.string(), relations: z.string() });

const stamp = (relid: string, key: string, from: string) =>
  `select ${relid}, ${sum(key)} from ${from} group by ${relid}`;
/** The `relations` of the digest, for each relation by itself. */
export const STAMPS = `select coalesce(pg_catalog.json_agg(json_build_array(x.relid::bigint, x.stamp)), '[]') as value from (
  select s.relid, pg_catalog.md5(pg_catalog.string_agg(s.kind || s.stamp, ',' order by s.kind)) as stamp from (
    select t.oid as relid, 'c' as kind, t.xmin::text || ':' || ${MAGNITUDE} as stamp from pg_class t
${[
  ['a', stamp('t.attrelid', 't.attnum::text', 'pg_attribute t where t.attrelid >= 16384 and t.attnum > 0')],
  ['d', stamp('t.adrelid', 't.oid::text', 'pg_attrdef t where t.adrelid >= 16384')],
  [
    'n',
    stamp(
      't.objoid',
      't.objsubid::text',
      "pg_description t where t.objoid >= 16384 and t.classoid = 'pg_class'::regclass",
    ),
  ],
  ['i', stamp('t.inhrelid', 't.inhparent::text', 'pg_inherits t where t.inhrelid >= 16384')],
  ['t', stamp('t.tgrelid', 't.oid::text', 'pg_trigger t where not t.tgisinternal')],
  ['r', stamp('t.ev_class', 't.oid::text', 'pg_rewrite t where t.oid >= 16384')],
  ['k', stamp('t.conrelid', 't.oid::text', 'pg_constraint t where t.oid >= 16384 and t.conrelid <> 0')],
  ['p', stamp('t.polrelid', 't.oid::text', 'pg_policy t')],
  ['s', stamp('t.stxrelid', 't.oid::text', 'pg_statistic_ext t')],
  [
    'x',
    stamp(
      't.indrelid',
      "t.indexrelid::text || ':' || i.relname",
      'pg_index t join pg_class i on i.oid = t.indexrelid where t.indexrelid >= 16384',
    ),
  ],
]
  .map(([kind, query]) => `    union all select q.relid, '${kind}', q.stamp from (${query}) q(relid, stamp)`)
  .join('\n')}
  ) s join pg_class c on c.oid = s.relid join pg_namespace n on n.oid = c.relnamespace
  where c.${KINDS_OURS} group by s.relid) x`;
export const stampsShape = z.array(z.tuple([z.number(), z.string()]));

export const DATABASE = `select json_build_object('name', pg_catalog.current_database(),
  'eventTriggers', exists(select from pg_event_trigger where evtenabled <> 'D')) as value`;
export const databaseShape = z.object({ name: z.string(), eventTriggers: z.boolean() });

const ids = (oids: readonly number[]) => oids.map((oid) => String(Math.trunc(oid))).join() || '0';
export const list = (query: string) =>
  `select coalesce(pg_catalog.json_agg(x), '[]') as value from (${query}) x`;

/** Casts of users from types of their own: only then it matters where values of those may come from. */
const CASTS = `exists (select from pg_cast k where k.castsource >= 16384 and k.castfunc <> 0)`;

/** Types of columns that hold rows, themselves or in arrays, ranges and domains, and whose rows they are. */
const rowTypes = (of: (column: string) => string) => `
  made(type, of) as (
    select t.oid, t.typelem from pg_type t where t.typelem <> 0 and t.oid >= 16384
    union all select t.oid, t.typbasetype from pg_type t where t.typtype = 'd' and t.oid >= 16384
    union all select r.oid, g.rngsubtype from pg_range g,
      lateral (values (g.rngtypid), ((pg_catalog.to_jsonb(g) ->> 'rngmultitypid')::oid)) r(oid)
  ), held(type, inner_type) as (
    select a.atttypid, a.atttypid from pg_attribute a where a.atttypid >= 16384 and a.attnum > 0${of('a.attrelid')}
    union select h.type, m.of from held h join made m on m.type = h.inner_type
  ), rows_of(type, relid) as (
    select h.type, pg_catalog.max(t.typrelid::bigint) from held h join pg_type t on t.oid = h.inner_type and t.typtype = 'c' group by 1
  )`;

/** Without `oids`: all of them. */
export const relations = (oids?: readonly number[]) => {
  const of = (column: string) => (oids === undefined ? '' : ` and ${column} in (${ids(oids)})`);
  return list(`
  with recursive ${CHECKED}, ${rowTypes(of)}
  select c.oid::bigint as oid, n.nspname as schema, c.relname as name, c.relkind::text as relkind, c.reltuples::float8 as rows,
    c.relrowsecurity as "rowSecurity",
    coalesce(${POLICIES}, '[]') as policies,
    coalesce((select pg_catalog.json_agg(distinct case r.ev_type when '2' then 'update' when '3' then 'insert' else 'delete' end)
      from pg_rewrite r where r.ev_class = c.oid and r.ev_type <> '1' and r.ev_enabled <> 'D'), '[]') as rules,
    coalesce((select pg_catalog.json_agg(i.relname order by i.oid) from pg_index x join pg_class i on i.oid = x.indexrelid
      where x.indrelid = c.oid), '[]') as indexes,
    coalesce((select pg_catalog.json_agg(k.conname order by k.oid) from pg_constraint k where k.conrelid = c.oid), '[]') as constraints,
    coalesce((select pg_catalog.json_agg(json_build_object('number', a.attnum, 'name', a.attname,
        'type', pg_catalog.format_type(a.atttypid, a.atttypmod), 'typeOid', a.atttypid::bigint,
        'notNull', a.attnotnull,
        'rowType', (select h.relid::bigint from rows_of h where h.type = a.atttypid),
        'comment', pg_catalog.col_description(c.oid, a.attnum),
        'generated', case when a.attgenerated <> '' then coalesce(pg_catalog.pg_get_expr(d.adbin, d.adrelid), '?') end) order by a.attnum)
      from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
      where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped), '[]') as columns,
    coalesce((select pg_catalog.json_agg(i.inhparent::bigint order by i.inhseqno) from pg_inherits i where i.inhrelid = c.oid), '[]') as parents,
    (select t.typrelid::bigint from pg_type t where t.oid = c.reloftype) as "ofType",
    c.reltype::bigint as type, case when ${CASTS} then (select pg_catalog.json_agg(distinct t.type::bigint) from (
      select u.type from pg_attribute a join pg_type e on e.oid = a.atttypid,
        lateral (values (e.oid), (e.typelem)) u(type) where a.attrelid = c.oid and a.attnum > 0) t(type) where t.type >= 16384) end as types,
    coalesce((select pg_catalog.json_agg(distinct pg_catalog.jsonb_build_object('function', pn.nspname || '.' || p.proname,
        'before', t.tgtype::int & 2 <> 0, 'deferrable', t.tgdeferrable, 'columns', (select pg_catalog.json_agg(a.attname order by a.attnum)
          from pg_attribute a where a.attrelid = c.oid and a.attnum = any (t.tgattr::int2[])), 'on', (select pg_catalog.json_agg(e.name)
          from (values (4, 'insert'), (8, 'delete'), (16, 'update'), (32, 'truncate')) e(bit, name) where t.tgtype::int & e.bit <> 0)))
      from pg_trigger t join pg_proc p on p.oid = t.tgfoid join pg_namespace pn on pn.oid = p.pronamespace
      where t.tgrelid = c.oid and not t.tgisinternal and t.tgenabled <> 'D'), '[]') as triggers,
    coalesce(k.calls, '[]') as calls
  from pg_class c join pg_namespace n on n.oid = c.relnamespace left join (${callsOf(of)}) k on k.relid = c.oid
  where c.${KINDS_OURS}${of('c.oid')}
  order by c.oid`);
};
const eventShape = z.enum(['insert', 'update', 'delete', 'truncate']);
export const relationShape = z.array(
  z.object({
    oid: z.number(),
    schema: z.string(),
    name: z.string(),
    relkind: z.string(),
    rows: z.number(),
    rowSecurity: z.boolean(),
    policies: z.array(
      z.object({
        oid: z.number(),
        on: z.array(z.enum(['read', 'insert', 'update', 'delete'])),
        calls: z.array(z.string()),
        roles: z.array(z.number()).nullable(),
      }),
    ),
    rules: z.array(eventShape),
    indexes: z.array(z.string()),
    constraints: z.array(z.string()),
    columns: z.array(
      z.object({
        number: z.number(),
        name: z.string(),
        type: z.string(),
        typeOid: z.number(),
        comment: z.string().nullable(),
        generated: z.string().nullable(),
        notNull: z.boolean(),
        rowType: z.number().nullable(),
      }),
    ),
    parents: z.array(z.number()),
    ofType: z.number().nullable(),
    type: z.number(),
    types: z.array(z.number()).nullable(),
    triggers: z.array(
      z.object({
        function: z.string(),
        on: z.array(eventShape),
        before: z.boolean(),
        deferrable: z.boolean(),
        columns: z.array(z.string()).nullable(),
      }),
    ),
    calls: z.array(
      z.object({
        function: z.string(),
        on: z.enum(['any', 'compare', 'write']),
        column: z.string().exactOptional(),
        from: z.number().exactOptional(),
      }),
    ),
  }),
);

/** Null where the view went away while it was read. */
export const definitions = (oids: readonly number[]) =>
  list(`select c.oid::bigint as oid, pg_catalog.pg_get_viewdef(c.oid) as text
  from pg_class c where c.relkind in ('v','m') and c.relpersistence <> 't' and c.oid >= 16384 and c.oid in (${ids(oids)})`);

/** What policies ask of a row: USING by their oid, WITH CHECK by minus that. */
export const policyTexts = (oids: readonly number[]) =>
  list(`select q.oid, pg_catalog.pg_get_expr(q.node, p.polrelid) as text from pg_policy p,
    lateral (values (p.oid::bigint, p.polqual), (-p.oid::bigint, p.polwithcheck)) q(oid, node)
  where p.oid in (${ids(oids.map(Math.abs))}) and q.oid in (${ids(oids)})`);

/** SQL-standard bodies (BEGIN ATOMIC, PostgreSQL 14) leave prosrc empty. */
export const sqlBodies = (oids: readonly number[]) =>
  list(`select p.oid::bigint as oid, pg_catalog.pg_get_function_sqlbody(p.oid) as text
  from pg_proc p where p.prosqlbody is not null and p.oid >= 16384 and p.oid in (${ids(oids)})`);
export const textShape = z.array(z.object({ oid: z.number(), text: z.string().nullable() }));

export const FUNCTIONS = list(`with recursive ${CHECKED}, tree as (
    select p.oid::bigint as id, p.proargdefaults::text as node from pg_proc p where p.oid >= 16384 and p.proargdefaults is not null
  ), ${calledIn('t.id')}
  select p.oid::bigint as oid, n.nspname as schema, p.proname as name, l.lanname as language, p.prokind::text as kind,
    p.provolatile::text as volatility,
    coalesce((select pg_catalog.json_agg(coalesce(p.proargnames[a.i], '') order by a.i) from pg_catalog.generate_series(1,
      pg_catalog.cardinality(coalesce(p.proallargtypes, p.proargtypes::oid[]))) a(i)
      where coalesce(p.proargmodes[a.i], 'i') in ('i', 'b', 'v')), '[]') as parameters,
    coalesce((select pg_catalog.json_agg(coalesce(p.proargnames[a.i], '') order by a.i)
      from pg_catalog.generate_series(1, pg_catalog.cardinality(p.proargmodes)) a(i) where p.proargmodes[a.i] in ('o', 'b', 't')), '[]') as outputs,
    case when ${CASTS} then (select pg_catalog.json_agg(distinct t.type::bigint) from pg_catalog.unnest(p.prorettype || p.proargtypes::oid[] || p.proallargtypes) t(type)
      where t.type >= 16384) end as types,
    (select t.typrelid::bigint from pg_type t where t.oid = p.prorettype and t.typtype = 'c') as "rowType", coalesce(p.proconfig, '{}') as config, p.prosecdef as "securityDefiner", p.proretset as set,
    (select e.extname from pg_depend d join pg_extension e on e.oid = d.refobjid and d.refclassid = 'pg_extension'::regclass
      where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e' limit 1) as extension,
    coalesce((select pg_catalog.json_agg(distinct hn.nspname || '.' || h.proname) from (
        select k.castfunc from pg_cast k where k.oid >= 16384 and k.castsource < 16384 and k.castfunc <> 0 and k.castcontext = 'a'
          and (k.casttarget = p.prorettype or k.casttarget = any (p.proallargtypes))
        union select c.fn from pg_catalog.unnest(p.prorettype || p.proargtypes::oid[] || p.proallargtypes) t(type) join checked c on c.type = t.type
        union select c.fn from checked c join pg_aggregate g on c.type in (g.aggtranstype, g.aggmtranstype) where g.aggfnoid = p.oid
        union select r.fn from ${reliedOnByBody('p.oid')} r(fn) where l.lanname = 'sql' and p.prosrc = ''
      ) u(fn) join pg_proc h on h.oid = u.fn join pg_namespace hn on hn.oid = h.pronamespace
      where h.oid >= 16384 or h.provolatile = 'v'), '[]') as calls,
    coalesce((select pg_catalog.json_agg(distinct hn.nspname || '.' || h.proname)
      from tree_calls t join pg_proc h on h.oid = t.fn join pg_namespace hn on hn.oid = h.pronamespace
      where t.id = p.oid and (h.oid >= 16384 or h.provolatile = 'v')), '[]') as defaults,
    coalesce((select pg_catalog.json_agg(distinct pg_catalog.jsonb_build_object('function', hn.nspname || '.' || h.proname, 'from', k.castsource::bigint))
      from pg_cast k join pg_proc h on h.oid = k.castfunc join pg_namespace hn on hn.oid = h.pronamespace
      where l.lanname not in ('c', 'internal') and k.castsource >= 16384 and k.castcontext = 'a' and (k.casttarget = p.prorettype or k.casttarget = any (p.proallargtypes))
        and (h.oid >= 16384 or h.provolatile = 'v')), '[]') as casts,
    coalesce((select pg_catalog.json_agg(distinct sn.nspname || '.' || s.proname) from pg_aggregate g,
      lateral (select v.fn::oid from (values (g.aggtransfn), (g.aggfinalfn), (g.aggcombinefn), (g.aggserialfn), (g.aggdeserialfn), (g.aggmtransfn),
        (g.aggminvtransfn), (g.aggmfinalfn)) v(fn) union select r.fn from runs r where r.op = g.aggsortop) u(fn)
      join pg_proc s on s.oid = u.fn join pg_namespace sn on sn.oid = s.pronamespace where g.aggfnoid = p.oid), '[]') as supports,
    case when p.prosrc <> '' and (l.lanname not in ('internal', 'c') or (l.lanname = 'internal' and p.prosrc ~ 'range_constructor[0-9]$'))
      then p.prosrc end as body
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
    parameters: z.array(z.string()),
    outputs: z.array(z.string()),
    types: z.array(z.number()).nullable(),
    rowType: z.number().nullable(),
    config: z.array(z.string()),
    securityDefiner: z.boolean(),
    set: z.boolean(),
    extension: z.string().nullable(),
    calls: z.array(z.string()),
    defaults: z.array(z.string()),
    casts: z.array(z.object({ function: z.string(), from: z.number() })),
    supports: z.array(z.string()),
    body: z.string().nullable(),
  }),
);

const action = (column: string) =>
  `case ${column} when 'c' then 'cascade' when 'n' then 'set null' when 'd' then 'set default' when 'r' then 'restrict' else 'no action' end`;
const columnsOf = (relid: string, numbers: string) =>
  `(select pg_catalog.json_agg(a.attname order by n.at) from pg_catalog.unnest(${numbers}) with ordinality n(num, at) join pg_attribute a on a.attrelid = ${relid} and a.attnum = n.num)`;
/** Checking a key compares by operators that the constraint names, and looks into an index of the table that is referred to. */
export const FOREIGN_KEYS = list(`with recursive ${CHECKED}
  select k.conrelid::bigint as "from", k.confrelid::bigint as "to",
    ${columnsOf('k.conrelid', 'k.conkey')} as columns, ${columnsOf('k.confrelid', 'k.confkey')} as keys,
    ${action('k.confdeltype')} as "onDelete", ${action('k.confupdtype')} as "onUpdate",
    coalesce((select pg_catalog.json_agg(distinct n.nspname || '.' || p.proname) from (
        select r.fn from runs r where r.op = any (k.conpfeqop || k.conppeqop || k.conffeqop)
        union select c.fn from pg_index i join compares c on c.class = any (i.indclass) where i.indexrelid = k.conindid
        union select c.castfunc from pg_attribute a join pg_cast c on c.castsource = a.atttypid and c.castcontext = 'i'
          where a.attrelid = k.conrelid and a.attnum = any (k.conkey)
      ) u(fn) join pg_proc p on p.oid = u.fn join pg_namespace n on n.oid = p.pronamespace where p.oid >= 16384), '[]') as calls
  from pg_constraint k where k.contype = 'f' order by k.oid`);
const actionShape = z.enum(['cascade', 'set null', 'set default', 'restrict', 'no action']);
export const foreignKeyShape = z.array(
  z.object({
    from: z.number(),
    to: z.number(),
    columns: z.array(z.string()),
    keys: z.array(z.string()),
    onDelete: actionShape,
    onUpdate: actionShape,
    calls: z.array(z.string()),
  }),
);

/** Types of users and what their values are made of; rows are told by their relations. */
export const TYPES = list(`
  select t.oid::bigint as oid, n.nspname as schema, t.typname as name, coalesce(r.part, case when t.typtype = 'd' then t.typbasetype else t.typelem end)::bigint as part
  from pg_type t join pg_namespace n on n.oid = t.typnamespace left join (
    select g.rngtypid, g.rngsubtype from pg_range g union all select (pg_catalog.to_jsonb(g) ->> 'rngmultitypid')::oid, g.rngtypid from pg_range g) r(type, part) on r.type = t.oid
  where t.oid >= 16384 and ${CASTS} order by t.oid`);
export const typeShape = z.array(
  z.object({ oid: z.number(), schema: z.string(), name: z.string(), part: z.number() }),
);

/** Superusers are members of all. */
export const LOGINS =
  list(`select r.rolname as name, (select coalesce(pg_catalog.json_agg(m.oid::bigint), '[]') from (
    select distinct u.oid from pg_policy p, pg_catalog.unnest(p.polroles) u(oid) where 16384 <= all (p.polroles) and pg_catalog.pg_has_role(r.oid, u.oid, 'MEMBER')) m) as roles
  from pg_roles r where r.rolcanlogin and ${FOR_ROLES} order by r.rolname limit 5000`);
export const loginShape = z.array(z.object({ name: z.string(), roles: z.array(z.number()) }));
