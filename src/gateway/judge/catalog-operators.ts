/** What runs functions of users without calling them by name. */
import { z } from 'zod';
import { ANY_RELATION, PREFIX, SYSTEM_RELATION, withModifiers } from '../../policy/types.ts';
import { list, ours } from './catalog-sql.ts';
import { CHECKED } from './catalog-stored.ts';

/**
 * An operand of an operator, and the types whose values it takes: its own, those with an implicit cast to it, and domains over them. Null:
 * it may be any, for arrays and rows are taken by what they are made of.
 */
const operand = (side: string): string => `(select json_build_object('type', o.${side}::bigint, 'takes',
    case when t.typtype in ('p', 'c') or t.typcategory = 'A' then null else (select coalesce(pg_catalog.json_agg(distinct u.type::bigint), '[]') from (
        select b.oid union select k.castsource from pg_cast k where k.casttarget = b.oid and k.castcontext = 'i') s(type),
      lateral (select s.type union select g.type from ground g where g.of = s.type) u(type) where u.type <> 0) end)
    from pg_operator o left join ground d on d.type = o.${side} and not exists (select from ground e where e.type = d.of)
      left join pg_type b on b.oid = coalesce(d.of, o.${side}) left join pg_type t on t.oid = b.oid where o.oid = c.op)`;

/** Functions of the server that read the name of a type in a text, though they neither take nor give one. */
const NAMED_IN_TEXT =
  "('to_regtypemod', 'has_type_privilege', 'has_function_privilege', 'pg_get_object_address')";
/**
 * What runs functions without calling them by name: operators, casts (named by the type they make; those of users' own types by that
 * type too; implicit ones from a built-in type to another by no name at all, as any expression may meet them), domains with constraints, row types with such columns. Estimators need `internal` arguments, so users cannot write them.
 * Where users compare a built-in type: also whatever of the server makes values of it.
 */
export const OPERATORS = list(`
  with recursive ${CHECKED}, ground(type, of) as (
    select t.oid, t.typbasetype from pg_type t where t.typtype = 'd'
    union select g.type, t.typbasetype from ground g join pg_type t on t.oid = g.of and t.typtype = 'd'
  ), makers(type, name) as (
    select distinct u.type, u.name from (
      select t.type, p.proname::text from pg_proc p, pg_catalog.unnest(p.prorettype || p.proallargtypes) t(type) where p.oid < 16384
      union all select o.oprresult, case o.oprleft when 0 then '${PREFIX}' else '' end || o.oprname from pg_operator o
        where o.oid < 16384 and o.oprresult not in (o.oprleft, o.oprright)
      union all select a.atttypid, '${SYSTEM_RELATION}' from pg_attribute a where a.attrelid < 16384 and a.attnum > 0
      union all select a.atttypid, '${ANY_RELATION}' from pg_attribute a where a.attrelid = 'pg_class'::regclass and a.attnum < 0
    ) u(type, name) where u.type < 16384 and (select true from checked c where c.type < 16384 limit 1)
  ), called(schema, name, fn, "from", compared, type, gives, op) as (
    select n.nspname, o.oprname, r.fn, null::bigint, false, null::bigint, null::text, o.oid from pg_operator o join pg_namespace n on n.oid = o.oprnamespace join runs r on r.op = o.oid
      where ${ours('o.oid')} or r.fn >= 16384
    union all select n.nspname, o.oprname, o.oprcode, null, false, null, 'value', o.oid from pg_operator o join pg_namespace n on n.oid = o.oprnamespace
      where ${ours('o.oid')} and o.oprresult <> 'bool'::regtype and o.oprcode <> 0
    union all select n.nspname, o.oprname, c.fn, null, false, null, null, o.oid from pg_operator o join pg_namespace n on n.oid = o.oprnamespace
      join checked c on c.type in (o.oprleft, o.oprright, o.oprresult) where ${ours('o.oid')}
    union all select n.nspname, t.typname, k.castfunc,
      case when k.castsource >= 16384 and k.casttarget < 16384 and t.oid = k.casttarget then k.castsource::bigint end, false, null, null, null from pg_cast k
      join pg_type t on t.oid = k.casttarget or (t.oid = k.castsource and t.oid >= 16384)
      join pg_namespace n on n.oid = t.typnamespace where k.oid >= 16384 and k.castfunc <> 0
    union all select 'pg_catalog', '', k.castfunc, null, false, null, null, null from pg_cast k
      where k.oid >= 16384 and k.castfunc <> 0 and k.castcontext = 'i' and k.castsource < 16384 and k.casttarget < 16384
    union all select n.nspname, t.typname, c.fn, null, c.compares or (c.type < 16384 and c.fn not in (select m.fn from modifiers m)), case when c.type < 16384 then c.type::bigint end, null, null from pg_type t join pg_namespace n on n.oid = t.typnamespace
      join checked c on c.type = t.oid where ${ours('t.oid')} or c.type < 16384
    union all select n.nspname, ${withModifiers("t.typname || '")}', t.typmodin, null, false, null, null, null from pg_type t join pg_namespace n on n.oid = t.typnamespace
      join modifiers m on m.fn = t.typmodin
    union all select 'pg_catalog', r.name, m.fn, null, false, null, null, null from modifiers m, (
        select p.proname from pg_proc p where p.oid < 16384 and (p.proname in ${NAMED_IN_TEXT} or exists (
          select from naming n where n.type = p.prorettype or n.type = any (p.proargtypes) or n.type = any (p.proallargtypes)))
        union all select c.relname from pg_attribute a join pg_class c on c.oid = a.attrelid join naming n on n.type = a.atttypid
          where c.oid < 16384 and a.attnum > 0
      ) r(name)
    union all select 'pg_catalog', m.name, c.fn, null, true, null, null, null from checked c join makers m on m.type = c.type
      where c.fn not in (select m.fn from modifiers m)
  )
  select c.schema, c.name, c."from", c.compared, c.type, pg_catalog.max(c.gives) as gives, ${operand('oprleft')} as left, ${operand('oprright')} as right,
    coalesce(pg_catalog.json_agg(distinct n.nspname || '.' || p.proname order by n.nspname || '.' || p.proname)
      filter (where p.oid >= 16384 or p.provolatile = 'v'), '[]') as calls
  from called c join pg_proc p on p.oid = c.fn join pg_namespace n on n.oid = p.pronamespace
  where p.oid >= 16384 or p.provolatile = 'v' or c.gives is not null group by 1, 2, 3, 4, 5, c.op
  order by 1, 2, 3, 4, 5, c.op`);
const operandShape = z.object({ type: z.number(), takes: z.array(z.number()).nullable() });
export const operatorShape = z.array(
  z.object({
    schema: z.string(),
    name: z.string(),
    from: z.number().nullable(),
    gives: z.literal('value').nullable(),
    compared: z.boolean(),
    type: z.number().nullable(),
    left: operandShape.nullable(),
    right: operandShape.nullable(),
    calls: z.array(z.string()),
  }),
);
