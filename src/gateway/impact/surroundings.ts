/** What hangs on the tables of a statement, in one query of the gateway's own with an empty search_path. */
import { z } from 'zod';
import { literal, type Probe } from './probe.ts';

const shape = z.object({
  tables: z.array(z.object({ oid: z.number(), rows: z.number(), bytes: z.number() })),
  triggers: z.array(z.object({ oid: z.number(), on: z.string(), name: z.string(), type: z.number() })),
  /** Row security with policies for single commands: who may change rows is not who may read them. */
  perCommand: z.array(z.number()),
  /** Expressions in extended statistics, ranges with functions of users: planning would run them. */
  opaque: z.boolean(),
  volatile: z.array(z.string()),
  dependents: z.array(z.string()),
  /** Of the one table that is changed, as asked for. */
  columns: z.array(
    z.object({ column: z.string(), type: z.string(), mod: z.number(), cast: z.string().nullable() }),
  ),
});
export type Surroundings = z.infer<typeof shape>;

export interface Around {
  readonly oids: readonly number[];
  /** Names in pg_catalog. */
  readonly functions: readonly string[];
  /** What hangs on these. */
  readonly changed: readonly number[];
  /** Columns of the first of those, with the server's own type that each is to get. */
  readonly columns?: readonly { readonly column: string; readonly type: string }[];
}

const MAX_DEPENDENTS = 21;
const ids = (oids: readonly number[]): string => oids.map((oid) => String(Math.trunc(oid))).join() || '0';
const list = (query: string): string => `coalesce((select json_agg(x) from (${query}) x), '[]')`;
const column = (query: string): string => `coalesce((select json_agg(x.v) from (${query}) x(v)), '[]')`;

export async function surroundings(
  probe: Probe,
  { oids, functions, changed, columns = [] }: Around,
): Promise<Surroundings> {
  const of = ids(oids.slice(0, 1000));
  const names = functions.map(literal).join() || "''";
  const retyped =
    columns.map(({ column: name, type }) => `(${literal(name)}, ${literal(type)})`).join() || "('', '')";
  const text = `select json_build_object(
  'tables', ${list(`select c.oid::int8 as oid, c.reltuples::float8 as rows, current_setting('block_size')::int8 * (greatest(c.relpages, 0)
      + coalesce((select sum(greatest(i.relpages, 0)) from pg_index x join pg_class i on i.oid = x.indexrelid where x.indrelid = c.oid), 0)
      + coalesce((select greatest(t.relpages, 0) from pg_class t where t.oid = c.reltoastrelid), 0))::float8 as bytes
    from pg_class c where c.oid in (${of})`)},
  'triggers', ${list(`select t.tgrelid::int8 as oid, n.nspname || '.' || c.relname as "on", t.tgname as name, t.tgtype::int as type
    from pg_trigger t join pg_class c on c.oid = t.tgrelid join pg_namespace n on n.oid = c.relnamespace
    where t.tgrelid in (${of}) and not t.tgisinternal and t.tgenabled in ('O', 'A') order by 1, 3 limit 100`)},
  'perCommand', ${column(`select c.oid::int8 from pg_class c where c.oid in (${of}) and c.relrowsecurity
    and exists (select from pg_policy p where p.polrelid = c.oid and p.polcmd <> '*')`)},
  'opaque', exists (select from pg_statistic_ext s where s.stxrelid in (${of}) and to_jsonb(s) ->> 'stxexprs' is not null)
    or exists (select from pg_attribute a join pg_type t on t.oid = a.atttypid join pg_range r on r.rngtypid in (t.oid, t.typelem, t.typbasetype)
      where a.attrelid in (${of}) and a.attnum > 0 and greatest(r.rngsubdiff::oid::int8, r.rngcanonical::oid::int8) >= 16384),
  'volatile', ${column(`select distinct p.proname::text from pg_proc p where p.pronamespace = 'pg_catalog'::regnamespace
    and p.provolatile = 'v' and p.proname in (${names})`)},
  'dependents', ${column(`select distinct u.v from (
      select n.nspname || '.' || c.relname || case c.relkind when 'm' then ' (materialized view)' else ' (view)' end
        from pg_depend d join pg_rewrite r on r.oid = d.objid join pg_class c on c.oid = r.ev_class join pg_namespace n on n.oid = c.relnamespace
        where d.classid = 'pg_rewrite'::regclass and d.refclassid = 'pg_class'::regclass and d.refobjid in (${ids(changed)})
          and c.oid not in (${ids(changed)})
      union all select n.nspname || '.' || c.relname || ' (foreign key ' || k.conname || ')'
        from pg_constraint k join pg_class c on c.oid = k.conrelid join pg_namespace n on n.oid = c.relnamespace
        where k.contype = 'f' and k.confrelid in (${ids(changed)}) and k.conrelid not in (${ids(changed)})
      union all select n.nspname || '.' || p.proname || ' (function)'
        from pg_depend d join pg_proc p on p.oid = d.objid join pg_namespace n on n.oid = p.pronamespace
        where d.classid = 'pg_proc'::regclass and d.refclassid = 'pg_class'::regclass and d.refobjid in (${ids(changed)})
    ) u(v) order by 1 limit ${MAX_DEPENDENTS}`)},
  'columns', ${list(`select a.attname as "column", o.typname as type, a.atttypmod as mod,
      (select k.castmethod from pg_cast k where k.castsource = o.oid and k.casttarget = n.oid) as cast
    from (values ${retyped}) w(name, type) join pg_attribute a on a.attname = w.name and a.attrelid = ${ids(changed.slice(0, 1))} and a.attnum > 0
      join pg_type o on o.oid = a.atttypid and o.typtype = 'b' and o.typnamespace = 'pg_catalog'::regnamespace
      join pg_type n on n.typname = w.type and n.typtype = 'b' and n.typnamespace = 'pg_catalog'::regnamespace`)})`;
  return shape.parse(JSON.parse((await probe.own(text)) ?? 'null'));
}
