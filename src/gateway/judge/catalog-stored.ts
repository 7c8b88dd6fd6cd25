/**
 * What stored expressions and values of types run. Node trees are read as text, whatever node a field is in: nothing is deparsed, so
 * nobody's lock is waited for, and no node can be one that this file does not know.
 */

/** Functions of users; those that an extension has in C are its own affair. `unsteady`: what is not the server's own, or not IMMUTABLE. */
const USERS = `users(fn) as (
    select p.oid from pg_proc p join pg_language l on l.oid = p.prolang where p.oid >= 16384 and (l.lanname not in ('c', 'internal')
      or not exists (select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e'))
  )`;

/** Texts that are read as names of types, with modifiers: `'t(4)'::regtype`. Any of them runs the function that reads those. */
const NAMING = "('regtype'::regtype, 'regprocedure'::regtype, 'regoperator'::regtype)";

const FUNCTION_FIELDS = 'funcid|opfuncid|aggfnoid|winfnoid|startInRangeFunc|endInRangeFunc|tsmhandler';
const OPERATOR_FIELDS = 'opno|opnos|eqop|sortop|cycle_mark_neop';
/** `resulttype` of a coercion, `row_typeid`, `minmaxtype`, `coltypes` of XMLTABLE, `typid` of JSON … */
const TYPE_FIELDS = '\\w*[tT]ype(?:[iI]ds?|s)?|\\w*typids?';

/** Fields of a node tree that hold an oid, or a list of them. */
const oidsIn = (tree: string): string => `(
    select m[1] as field, i.oid::bigint::oid as oid from pg_catalog.regexp_matches(${tree},
      ':(${FUNCTION_FIELDS}|${OPERATOR_FIELDS}|${TYPE_FIELDS}) (?:\\(o )?([0-9]{1,10}(?: [0-9]{1,10})*)', 'g') m,
      pg_catalog.unnest(pg_catalog.string_to_array(m[2], ' ')) i(oid))`;
const isFunction = (field: string): string => `${field} ~ '^(?:${FUNCTION_FIELDS})$'`;
const isOperator = (field: string): string => `${field} ~ '^(?:${OPERATOR_FIELDS})$'`;
const isType = (field: string): string => `${field} ~ '^(?:${TYPE_FIELDS})$'`;

/** JSON constructors look for casts to json as to_json does, and name no function. */
const jsonIn = (tree: string): string =>
  `(select p.oid from pg_proc p where p.oid = 'pg_catalog.to_json(anyelement)'::regprocedure and ${tree} ~ '\\{JSON[A-Z]*(?:CONSTRUCTOR|EXPR)')`;

/**
 * Of functions that are called on constants alone, planning works out the result, whatever is done with it (DESIGN.md 3). Calls with a
 * column among the arguments stay, unless what the column stands in is worked out without it: NULL makes strict calls NULL, COALESCE may
 * not come to its column, functions of users in SQL may not look at it. What is written in SQL may itself be put in its place.
 */
const HEAD = '\\{(?:FUNCEXPR :funcid|(?:OP|DISTINCT|NULLIF|SCALARARRAYOP)EXPR :opno) ([0-9]+) ';
const CONSTANTS = '(?:\\{CONST [^{}]*\\} ?)*';
const KEEPS =
  '(?:FUNCEXPR :funcid|(?:OP|NULLIF)EXPR :opno) [0-9]{1,4} |(?:RELABELTYPE|COERCEVIAIO|ARRAYEXPR|ROWEXPR) ';
const STEP = `\\{(?:(?:${KEEPS})[^{}]*:(?:args?|elements) \\(?${CONSTANTS}|COALESCEEXPR [^{}]*:args \\()`;
const OF_COLUMN = `(?=[^{}]*:args \\(${CONSTANTS}(?:${STEP})*\\{VAR )`;
const count = (tree: string, expression: string, oid: string): string =>
  `(select pg_catalog.count(*) from pg_catalog.regexp_matches(${tree}, '${expression}', 'g') m where m[1]::bigint = ${oid})`;
const folds = (tree: string, oid: string): string =>
  `${count(tree, HEAD, oid)} > ${count(tree, `${HEAD}${OF_COLUMN}`, oid)}`;
/** Of `tree_calls t`: it may be worked out when the relation is planned. A virtual column is put in as what it is made of. */
const early = `${folds('t.node', 't.fn')}
      or exists (select from runs r where r.fn = t.fn and ${folds('t.node', 'r.op')})
      or exists (select from pg_proc p join pg_language l on l.oid = p.prolang where p.oid = t.fn and l.lanname = 'sql')
      or t.node ~ ':constisnull true'
      or (t.node ~ '\\{MINMAXEXPR' and exists (select from checked c where c.fn = t.fn))
      or exists (select from pg_attribute a where a.attrelid = t.relid and a.attgenerated = 'v')`;

/**
 * `runs`: functions of an operator. Planning puts its commutator or negator in its place; hashing and sorting by it run the functions of
 * the families that it is in. `checked`: types whose values run functions of users by themselves: domains with constraints, types and
 * ranges that are compared by such functions, those with implicit casts, and whatever is made of them: domains over them, their arrays,
 * ranges, composite types and rows. A built-in type is among them where a default operator class of users compares it, or where they added
 * to the family of its class for that very type; what they added there for another type runs for that type alone. `compares`: only where its values are compared; to make a range compares its bounds, and a domain's check may compare what it mentions.
 */
export const CHECKED = `${USERS}, modifiers(fn) as (
    select distinct u.fn from pg_type t join users u on u.fn = t.typmodin
  ), naming(type) as (
    select t.oid from pg_type t where (t.oid in ${NAMING} or t.typelem in ${NAMING}) and exists (select from modifiers)
  ), unsteady(fn) as (select p.oid from pg_proc p where p.oid >= 16384 or p.provolatile <> 'i'
  ), family(family, fn, type) as (
    select f.amprocfamily, u.fn, f.amproclefttype from pg_amproc f join users u on u.fn = f.amproc
      where f.amprocfamily >= 16384 or f.amproclefttype = f.amprocrighttype
    union select m.amopfamily, u.fn, m.amoplefttype from pg_amop m join pg_operator q on q.oid = m.amopopr join users u on u.fn = q.oprcode
      where m.amopfamily >= 16384 or m.amoplefttype = m.amoprighttype
  ), compares(class, fn) as (
    select o.oid, f.fn from pg_opclass o join family f on f.family = o.opcfamily and (f.family >= 16384 or f.type = o.opcintype)
  ), runs(op, fn) as (
    select o.oid, u.fn::oid from pg_operator o left join pg_operator c on c.oid = o.oprcom left join pg_operator n on n.oid = o.oprnegate,
      lateral (values (o.oprcode), (c.oprcode), (n.oprcode)) u(fn) where u.fn in (select b.fn from unsteady b)
    union select m.amopopr, f.fn from pg_amop m join family f on f.family = m.amopfamily where m.amopopr >= 16384 or not exists (
      select from pg_amop b where b.amopopr = m.amopopr and b.amopmethod = m.amopmethod and b.amopfamily < 16384)
  ), classed(type, fn) as (
    select o.opcintype, c.fn from pg_opclass o join compares c on c.class = o.oid where o.opcdefault and o.opcmethod in (403, 405)
  ), domain_tree(type, field, oid) as (
    select k.contypid, s.field, s.oid from pg_constraint k, lateral ${oidsIn('k.conbin::text')} s where k.contypid <> 0
  ), part(whole, of, held) as (
    select t.oid, t.typbasetype, true from pg_type t where t.typtype = 'd'
    union all select d.type, d.oid, false from domain_tree d where ${isType('d.field')} and d.oid >= 16384
    union all select t.oid, t.typelem, true from pg_type t where t.typcategory = 'A' and t.typelem <> 0
    union all select t.oid, a.atttypid, true from pg_type t join pg_attribute a on a.attrelid = t.typrelid
      where t.typtype = 'c' and a.attnum > 0 and (a.atttypid >= 16384 or a.atttypid in (select c.type from classed c union all select n.type from naming n))
    union all select r.rngtypid, r.rngsubtype, false from pg_range r
    union all select (pg_catalog.to_jsonb(r) ->> 'rngmultitypid')::oid, r.rngtypid, false from pg_range r
    union all select k.castsource, k.casttarget, true from pg_cast k where k.castmethod = 'b' and k.casttarget in (select c.type from classed c)
      and not exists (select from pg_opclass o where o.opcintype = k.castsource and o.opcdefault and o.opcmethod = 403)
  ), checked(type, fn, compares) as (
    select d.type, d.oid, false from domain_tree d where ${isFunction('d.field')} and d.oid in (select b.fn from unsteady b)
    union select d.type, r.fn, false from domain_tree d join runs r on r.op = d.oid where ${isOperator('d.field')}
    union select k.contypid, j.oid, false from pg_constraint k, lateral ${jsonIn('k.conbin::text')} j where k.contypid <> 0
    union select c.type, c.fn, true from classed c
    union select n.type, m.fn, false from naming n, modifiers m
    union select r.rngtypid, c.fn, false from pg_range r join compares c on c.class = r.rngsubopc
    union select r.rngtypid, u.fn, false from pg_range r join users u on u.fn in (r.rngsubdiff, r.rngcanonical)
    union select t.type, k.castfunc, false from pg_cast k, lateral (values (k.castsource), (k.casttarget)) t(type)
      where k.oid >= 16384 and k.castfunc <> 0 and k.castcontext = 'i' and t.type >= 16384
    union select p.whole, c.fn, c.compares and p.held from part p join checked c on c.type = p.of
  )`;

/** `tree_calls(…, fn, node)` of a query's own `tree(id, …, node)`: each function that an expression runs, beside the columns `keep` of its tree. */
export const calledIn = (keep: string): string => `mentioned(id, field, oid) as materialized (
    select t.id, s.field, s.oid from tree t, lateral ${oidsIn('t.node')} s
      where t.node ~ ' [0-9]{5}' or (select true from classed c where c.type < 16384 limit 1) or exists (select from modifiers)
  ), called_in(id, fn) as (
    select t.id, m[1]::bigint::oid from tree t, lateral pg_catalog.regexp_matches(t.node, ':(?:funcid|opfuncid|aggfnoid|winfnoid) ([0-9]+)', 'g') m
      where m[1]::bigint >= 16384 or m[1]::bigint in (select b.fn from unsteady b)
    union select s.id, s.oid from mentioned s where ${isFunction('s.field')}
    union select s.id, r.fn from mentioned s join runs r on r.op = s.oid where ${isOperator('s.field')}
    union select s.id, c.fn from mentioned s join checked c on c.type = s.oid where ${isType('s.field')}
    union select t.id, j.oid from tree t, lateral ${jsonIn('t.node')} j
  ), tree_calls as (select ${keep}, c.fn, t.node from tree t join called_in c on c.id = t.id)`;

/**
 * What a definition relies on that its text does not show: operators and types by their oid, and casts that nobody wrote. The server
 * notes it itself.
 */
const reliedOn = (catalog: string, oid: string): string => `(
    select r.fn from pg_depend d join runs r on r.op = d.refobjid
      where d.classid = '${catalog}'::regclass and d.objid = ${oid} and d.refclassid = 'pg_operator'::regclass
    union select c.fn from pg_depend d join checked c on c.type = d.refobjid
      where d.classid = '${catalog}'::regclass and d.objid = ${oid} and d.refclassid = 'pg_type'::regclass
    union select k.castfunc from pg_depend d join pg_cast k on k.castfunc = d.refobjid and k.castcontext <> 'e'
      where d.classid = '${catalog}'::regclass and d.objid = ${oid} and d.refclassid = 'pg_proc'::regclass)`;
export const reliedOnByBody = (oid: string): string => reliedOn('pg_proc', oid);

/**
 * A relation's policies, USING and WITH CHECK (by minus its oid) apart, and what in them no text shows. Without WITH CHECK, USING is asked of
 * new rows too.
 */
export const POLICIES = `(select pg_catalog.json_agg(json_build_object('oid', q.oid, 'on', q.events, 'roles',
      case when 16384 <= all (p.polroles) then pg_catalog.array_to_json(p.polroles::bigint[]) end, 'calls', coalesce((
      select pg_catalog.json_agg(distinct n.nspname || '.' || f.proname) from ${reliedOn('pg_policy', 'p.oid')} r(fn)
        join pg_proc f on f.oid = r.fn join pg_namespace n on n.oid = f.pronamespace where f.oid >= 16384 or f.provolatile <> 'i'), '[]')) order by q.oid)
    from pg_policy p, lateral (values
      (p.oid::bigint, p.polqual, case p.polcmd when 'r' then array['read'] when 'w' then array['update'] when 'd' then array['delete']
        else array['read', 'update', 'delete'] || case when p.polwithcheck is null then array['insert'] else '{}' end end),
      (-p.oid::bigint, p.polwithcheck, case p.polcmd when 'a' then array['insert'] when 'w' then array['update'] else array['insert', 'update'] end)
    ) q(oid, node, events) where p.polrelid = c.oid and c.relrowsecurity and q.node is not null)`;

/**
 * Functions that using a relation runs, named by nobody, in a query that has CHECKED. A domain's check runs at reads too: a literal beside
 * its columns or rows becomes a value of that type.
 */
export const callsOf = (of: (column: string) => string): string => `
  with trees(relid, "on", node, "column") as (
    select d.adrelid, case when a.attgenerated = 'v' then 'any' else 'write' end, d.adbin::text, case when a.attgenerated = '' then a.attname end
      from pg_attrdef d join pg_attribute a on a.attrelid = d.adrelid and a.attnum = d.adnum where d.adrelid >= 16384${of('d.adrelid')}
    union all select a.attrelid, 'write', t.typdefaultbin::text, a.attname from pg_attribute a join pg_type t on t.oid = a.atttypid
      where t.typdefaultbin is not null and a.attnum > 0${of('a.attrelid')}
    union all select k.conrelid, 'write', k.conbin::text, null from pg_constraint k where k.contype = 'c' and k.conrelid >= 16384${of('k.conrelid')}
    union all select i.indrelid, 'write', pg_catalog.concat(i.indexprs::text, i.indpred::text), null from pg_index i where i.indrelid >= 16384${of('i.indrelid')}
    union all select s.stxrelid, 'plan', pg_catalog.to_jsonb(s) ->> 'stxexprs', null from pg_statistic_ext s where s.stxrelid >= 16384${of('s.stxrelid')}
    union all select p.partrelid, 'write', p.partexprs::text, null from pg_partitioned_table p where true${of('p.partrelid')}
    union all select t.tgrelid, 'write', t.tgqual::text, null from pg_trigger t where not t.tgisinternal and t.tgenabled <> 'D'${of('t.tgrelid')}
  ), tree as (select pg_catalog.row_number() over () as id, t.* from trees t where t.node <> ''),
  ${calledIn('t.relid, t."on", t."column"')}, called(relid, "on", fn, "column", "from") as (
    select t.relid, t."on", t.fn, t."column", null::bigint from tree_calls t where t."on" <> 'plan'
    union select t.relid, 'any', t.fn, null, null from tree_calls t where t."column" is null and t."on" <> 'any' and t.fn >= 16384 and (${early})
    union select a.attrelid, case when c.compares then 'compare' else 'any' end, c.fn, null, null from pg_attribute a join checked c on c.type = a.atttypid
      where a.attrelid >= 16384 and a.attnum > 0${of('a.attrelid')}
    union select i.indrelid, 'any', c.fn, null, null from pg_index i join compares c on c.class = any (i.indclass) where i.indrelid >= 16384${of('i.indrelid')}
    union select k.conrelid, 'write', r.fn, null, null from pg_constraint k join runs r on r.op = any (k.conexclop) where k.contype = 'x'${of('k.conrelid')}
    union select p.partrelid, 'any', c.fn, null, null from pg_partitioned_table p join compares c on c.class = any (p.partclass) where true${of('p.partrelid')}
    union select w.ev_class, 'any', r.fn, null, null from pg_rewrite w, lateral ${reliedOn('pg_rewrite', 'w.oid')} r(fn) where w.ev_type = '1' and w.oid >= 16384${of('w.ev_class')}
    union select a.attrelid, 'write', k.castfunc, null, case when k.castsource >= 16384 then k.castsource::bigint end from pg_cast k join pg_attribute a on a.atttypid = k.casttarget
      where k.oid >= 16384 and k.castfunc <> 0 and k.castcontext = 'a' and a.attrelid >= 16384${of('a.attrelid')}
  )
  select called.relid, pg_catalog.json_agg(distinct pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object('on', called."on",
    'function', n.nspname || '.' || p.proname, 'column', called."column", 'from', called."from"))) as calls
  from called join pg_proc p on p.oid = called.fn join pg_namespace n on n.oid = p.pronamespace
  where p.oid >= 16384 or p.provolatile <> 'i' group by called.relid`;
