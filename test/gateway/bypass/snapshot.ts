/** One row of everything in the database, and of the cluster around it, that a statement could have changed. `$1`: a folder of the server. */

const all = (what: string, order = '1'): string =>
  `(select md5(coalesce(string_agg(x::text, '|' order by x::text), '')) from (select ${what} order by ${order}) x)`;
const mine =
  "relpersistence <> 't' and relnamespace not in (select oid from pg_namespace where nspname like 'pg_temp%' or nspname like 'pg_toast_temp%')";

export const SNAPSHOT = `select
  (select md5(string_agg(x, '|' order by x)) from (
    select format('%s %s', c.oid, query_to_xml(format('select * from only %s', c.oid::regclass), true, true, '')) as x
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'm') and n.nspname in ('public', 'other') and c.relispopulated) rows) as rows,
  ${all(`oid, relname, relnamespace, relowner, relkind, relacl, relrowsecurity, relreplident, reloptions, relpersistence, relchecks,
    relhastriggers, relispartition, case when relkind <> 'S' then relfilenode end as file from pg_class where ${mine}`)} as relations,
  ${all(`attrelid, attname, atttypid, attisdropped, attacl, attnotnull from pg_attribute a join pg_class c on c.oid = a.attrelid where ${mine}`)} as columns,
  ${all('oid, conname, contype, conrelid, convalidated from pg_constraint')} as constraints,
  ${all('oid, tgrelid, tgname, tgenabled from pg_trigger')} as triggers,
  ${all(`r.oid, rulename, ev_enabled, md5(ev_action::text) from pg_rewrite r join pg_class c on c.oid = r.ev_class where ${mine}`)} as rules,
  ${all("p.oid, proname, prosrc, proacl, proconfig, proowner, pronamespace from pg_proc p join pg_namespace n on n.oid = pronamespace where p.oid >= 16384 and nspname not like 'pg_temp%'")} as functions,
  ${all("t.oid, typname, typowner, typnamespace from pg_type t join pg_namespace n on n.oid = typnamespace where nspname not like 'pg\\_%temp%'")} as types,
  ${all("oid, nspname, nspowner, nspacl from pg_namespace where nspname not like 'pg\\_%temp%'")} as schemas,
  ${all('rolname, rolsuper, rolcreatedb, rolcreaterole, rolcanlogin, rolpassword, rolvaliduntil from pg_authid')} as roles,
  ${all('roleid, member from pg_auth_members')} as members,
  ${all('* from pg_db_role_setting')} as role_settings,
  ${all('oid, lomowner, lomacl from pg_largeobject_metadata')} as objects,
  ${all('loid, pageno, data from pg_largeobject')} as object_data,
  ${all('schemaname, sequencename, last_value, start_value, increment_by from pg_sequences')} as sequences,
  ${all('gid from pg_prepared_xacts')} as prepared,
  ${all('oid, datname, datdba, datacl from pg_database')} as databases,
  ${all('extname, extversion, extnamespace from pg_extension')} as extensions,
  ${all('* from pg_description where objoid >= 2200')} as comments,
  ${all('* from pg_shdescription')} as shared_comments,
  ${all('oid, * from pg_cast where oid >= 16384')} as casts,
  ${all('oid, oprname, oprcode from pg_operator where oid >= 16384')} as operators,
  ${all('oid, polname, polrelid from pg_policy')} as policies,
  ${all('oid, evtname, evtenabled from pg_event_trigger')} as event_triggers,
  ${all('oid, pubname from pg_publication')} as publications,
  ${all('oid, stxname from pg_statistic_ext')} as statistics,
  ${all('oid, collname from pg_collation where oid >= 16384')} as collations,
  ${all('oid, amname from pg_am')} as access_methods,
  ${all('* from pg_default_acl')} as default_rights,
  ${all('* from pg_parameter_acl')} as parameter_rights,
  ${all('oid, srvname from pg_foreign_server')} as servers,
  ${all('slot_name from pg_replication_slots')} as slots,
  ${all('roname from pg_replication_origin')} as origins,
  ${all('f as name from pg_ls_dir($1) f')} as files,
  md5(pg_read_file('postgresql.auto.conf')) as settings`;
