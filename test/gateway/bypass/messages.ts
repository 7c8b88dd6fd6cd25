/** What names, pipelines and the protocol itself could hide. Rounds of messages as in model-steps.ts; nobody approves, and nothing may change. */

const D = 'delete from accounts';
const X = ['P: delete from accounts', 'B:< []', 'E: 0', 'S'];
/** As a tool that does everything right would send it: allowed, and undone by what follows. */
const GOOD = ['P: select 1', 'B:< []', 'E: 0'];

export const MESSAGES: Readonly<Record<string, readonly (readonly string[])[]>> = {
  // Statements by name.
  'a second Parse of a name does not replace the first': [
    [`P:s ${D}`, 'S'],
    ['P:s select 1', 'S'],
    ['B:<s []', 'E: 0', 'S'],
  ],
  'a second Parse of a name, all at once': [[`P:s ${D}`, 'S', 'P:s select 1', 'S', 'B:<s []', 'E: 0', 'S']],
  'the harmless Parse first, then a Close that comes too late': [
    ['P:s select 1', 'S', `P:s ${D}`, 'S', 'CS:s', `P:s ${D}`, 'B:<s []', 'E: 0', 'S'],
  ],
  'a name that is closed and made anew in one pipeline': [
    ['P:s select 1', 'CS:s', `P:s ${D}`, 'B:<s []', 'E: 0', 'S'],
  ],
  'a Close behind an error is not seen': [
    [`P:s ${D}`, 'S', 'P: selec', 'CS:s', 'S', 'P:s select 1', 'S', 'B:<s []', 'E: 0', 'S'],
  ],
  'a Close of a portal of that name': [
    [`P:s ${D}`, 'CP:s', 'S', 'P:s select 1', 'S', 'B:<s []', 'E: 0', 'S'],
  ],
  'the unnamed statement after a refused Parse': [[`P: ${D}`, 'S', 'B:< []', 'E: 0', 'S']],
  'the older unnamed statement after a refused Parse': [
    [`P: ${D}`, 'H', 'P: drop table accounts cascade', 'S', 'B:< []', 'E: 0', 'S'],
  ],
  'the unnamed statement behind a Query that fails': [[`P: ${D}`, 'S', 'Q selec', 'B:< []', 'E: 0', 'S']],
  'the unnamed statement behind a probe': [
    [`P: ${D}`, 'S'],
    ['Q select * from nowhere'],
    ['B:< []', 'E: 0', 'S'],
  ],
  'a statement of the name of the probe': [
    [`P:holdpoint_probe ${D}`, 'S'],
    ['Q select * from nowhere'],
    ['B:<holdpoint_probe []', 'E: 0', 'S'],
  ],
  'a statement of the name of what is refused': [
    [`P:holdpoint_refused ${D}`, 'S'],
    ['B:<holdpoint_refused []', 'E: 0', 'S'],
  ],
  'a held Parse, replaced while it is looked at': [[`P: ${D}`, 'P: select 1', 'B:< []', 'E: 0', 'S']],
  'a harmless Parse, replaced in the same pipeline': [['P: select 1', `P: ${D}`, 'B:< []', 'E: 0', 'S']],
  'one Parse, two portals, two Executes': [
    ['P:s delete from accounts where id = $1', 'B:p<s ["1"]', 'B:q<s ["2"]', 'E:p 0', 'E:q 0', 'S'],
  ],
  'a bind that says what the text does not': [
    ['P:s delete from accounts where id <> $1', 'B:<s ["-1"]', 'E: 0', 'S'],
  ],
  'types that say what the text does not': [
    ['P:s(23) delete from accounts where id > $1', 'B:<s ["0"]', 'E: 0', 'S'],
  ],
  'a parameter that calls': [
    ['P:s(25) select query_to_xml($1, true, true, $$$$)', 'B:<s ["select wipe()"]', 'E: 0', 'S'],
  ],
  'a parameter of a type that calls': [['P:s select $1::checked', 'B:<s ["1"]', 'E: 0', 'S']],
  'planning a parameter': [['P:s select wipe_immutable($1)', 'B:<s ["1"]', 'DP:', 'CP:', 'S']],
  'planning a constant': [['P:s select 1 where wipe_immutable(1) = 2', 'B:<s []', 'S']],
  'planning in EXPLAIN': [['Q explain select wipe_immutable(1)']],
  'planning in a DECLARE': [['Q begin', 'Q declare c cursor for select wipe_immutable(1)', 'Q commit']],
  'planning in PREPARE and EXPLAIN EXECUTE': [
    ['Q prepare i as select wipe_immutable(1)', 'Q explain execute i'],
  ],
  // SQL and the protocol share names.
  'EXECUTE of what the protocol prepared': [[`P:s ${D}`, 'S'], ['Q execute s']],
  'EXECUTE of what the protocol prepared, at once': [[`P:s ${D}`, 'Q execute s']],
  'EXECUTE of a name that the server cuts': [
    [`P:${'a'.repeat(63)} ${D}`, 'S'],
    [`Q execute ${'a'.repeat(70)}`],
  ],
  'a Parse of a name that SQL cuts': [
    [`Q prepare ${'b'.repeat(70)} as ${D}`],
    [`B:<${'b'.repeat(63)} []`, 'E: 0', 'S'],
  ],
  'EXECUTE of a quoted name': [[`P:S ${D}`, 'S'], ['Q execute "S"']],
  'EXECUTE of a name in another case': [[`P:s ${D}`, 'S'], ['Q execute S']],
  'EXECUTE of a name in Unicode escapes': [[`P:s ${D}`, 'S'], ['Q execute U&"\\0073"']],
  'a Bind of what SQL prepared': [[`Q prepare s as ${D}`], ['B:<s []', 'E: 0', 'S']],
  'a Bind of what SQL prepared, at once': [[`Q prepare s as ${D}`, 'B:<s []', 'E: 0', 'S']],
  'SQL prepared twice': [[`Q prepare s as ${D}`, 'Q prepare s as select 1', 'Q execute s']],
  'SQL prepared, deallocated in a string that fails': [
    [`Q prepare s as ${D}`, 'Q deallocate s; select 1/0', 'Q prepare s as select 1', 'Q execute s'],
  ],
  'prepared in a transaction that is rolled back': [
    ['Q begin', `Q prepare s as ${D}`, 'Q rollback', 'Q prepare s as select 1', 'Q execute s'],
  ],
  'prepared in a string that fails behind it': [[`Q prepare s as ${D}; select 1/0`, 'Q execute s']],
  'DEALLOCATE ALL in a failed transaction': [
    [
      `P:s ${D}`,
      'S',
      'Q begin',
      'Q selec',
      'Q deallocate all',
      'Q rollback',
      'P:s select 1',
      'S',
      'Q execute s',
    ],
  ],
  'DISCARD ALL in a transaction': [
    [`P:s ${D}`, 'S', 'Q begin', 'Q discard all', 'Q rollback', 'P:s select 1', 'S', 'B:<s []', 'E: 0', 'S'],
  ],
  'EXECUTE in EXPLAIN ANALYZE': [[`Q prepare s as ${D}`], ['Q explain analyze execute s']],
  'EXECUTE in CREATE TABLE AS': [
    ['Q prepare s as select wipe() as w'],
    ['Q create temp table tt as execute s'],
  ],
  'EXECUTE of an EXECUTE': [[`Q prepare s as ${D}`], ['P:t execute s', 'B:<t []', 'E: 0', 'S']],
  'a Parse of EXECUTE before the name is changed': [
    ['Q prepare s as select 1'],
    ['P:t execute s', 'S'],
    ['Q deallocate s', `Q prepare s as ${D}`, 'B:<t []', 'E: 0', 'S'],
  ],
  'a Bind of EXECUTE before the name is changed': [
    [
      'Q begin',
      'Q prepare s as select 1',
      'P:t execute s',
      'B:p<t []',
      'S',
      'Q deallocate s',
      `Q prepare s as ${D}`,
      'E:p 0',
      'S',
      'Q commit',
    ],
  ],
  // Portals and cursors.
  'FETCH of a bound portal': [
    ['Q begin', 'P:s select wipe()', 'B:p<s []', 'S', 'Q fetch all from p', 'Q commit'],
  ],
  'MOVE in a bound portal': [
    ['Q begin', 'P:s select wipe()', 'B:p<s []', 'S', 'Q move all in p', 'Q commit'],
  ],
  'an Execute of a DECLAREd cursor': [
    ['Q begin', 'Q declare p cursor for select wipe()', 'E:p 0', 'S', 'Q commit'],
  ],
  'a cursor WITH HOLD that runs at COMMIT': [
    ['Q begin', 'Q declare p cursor with hold for select wipe()', 'Q commit'],
  ],
  'WHERE CURRENT OF': [
    [
      'Q begin',
      'Q declare p cursor for select id from accounts for update',
      'Q fetch p',
      'Q delete from accounts where current of p',
      'Q commit',
    ],
  ],
  'WHERE CURRENT OF a portal': [
    [
      'Q begin',
      'P:s select id from accounts for update',
      'B:p<s []',
      'E:p 1',
      'S',
      'Q delete from accounts where current of p',
      'Q commit',
    ],
  ],
  'a portal that is bound anew': [
    ['P:s select 1', 'B:p<s []', `P:t ${D}`, 'B:p<t []', 'E:p 0', 'S'],
    ['E:p 0', 'S'],
  ],
  'the unnamed portal, bound to something else while the first is unanswered': [
    ['P:s select 1', `P:t ${D}`, 'B:<s []', 'B:<t []', 'E: 0', 'S'],
  ],
  'a portal that fails behind one that did not': [
    ['Q begin', 'P:s select 1', 'B:p<s []', `P:t ${D}`, 'B:p<t []', 'S', 'E:p 0', 'S', 'Q commit'],
  ],
  'a portal that was suspended': [
    ['Q begin', 'P:s delete from accounts returning id', 'B:p<s []', 'E:p 1', 'S', 'E:p 1', 'S', 'Q commit'],
  ],
  'a refcursor that a function gives': [['Q begin; select wipe_cursor(); fetch all in later; commit']],
  // Pipelines.
  'an INSERT before what is held': [['P: insert into scratch values (66)', 'B:< []', 'E: 0', ...X]],
  'an INSERT behind what is held': [
    [`P: ${D}`, 'B:< []', 'E: 0', 'P: insert into scratch values (66)', 'B:< []', 'E: 0', 'S'],
  ],
  'an INSERT as a Query in front, in a transaction': [
    ['Q begin', 'Q insert into scratch values (66)', `Q ${D}`, 'Q commit'],
  ],
  'what follows a refused statement in a transaction': [
    ['Q begin', `Q ${D}`, 'Q insert into scratch values (66)', 'Q commit'],
  ],
  'a Query behind a held Parse without Sync': [[`P: ${D}`, 'B:< []', 'E: 0', 'Q select 1']],
  'a Query in front of an Execute without Sync': [[`P:s ${D}`, 'B:p<s []', 'Q select 1', 'E:p 0', 'S']],
  'a Sync in the middle': [[`P: ${D}`, 'S', 'B:< []', 'S', 'E: 0', 'S']],
  'a Flush after each': [[`P: ${D}`, 'H', 'B:< []', 'H', 'E: 0', 'H', 'S']],
  'no Sync at all, then goodbye': [[...GOOD, `P: ${D}`, 'B:< []', 'E: 0', 'X']],
  'what the server skips': [['P: selec', `P:s ${D}`, 'B:<s []', 'E: 0', 'S', 'B:<s []', 'E: 0', 'S']],
  'a Query while the server skips': [['P: selec', `Q ${D}`, 'S']],
  'a Bind in a failed transaction': [
    [`P:s ${D}`, 'S', 'Q begin', 'Q selec', 'B:<s []', 'E: 0', 'S', 'Q rollback', 'B:<s []', 'E: 0', 'S'],
  ],
  'a Bind with a wrong count, then the right one': [
    ['P:s delete from accounts where id = $1', 'B:<s []', 'E: 0', 'S', 'B:<s ["1"]', 'E: 0', 'S'],
  ],
  'a COMMIT in the failed transaction, then it': [['Q begin', 'Q selec', `Q commit; ${D}`]],
  'a setting that waits in the pipeline': [
    ['Q set standard_conforming_strings = off', "Q select '\\''; delete from accounts; --'"],
  ],
  'a setting of escapes through set_config': [
    [
      "Q select set_config('standard_conforming_strings', 'off', false)",
      "Q select '\\''; delete from accounts; --'",
    ],
  ],
  'an encoding that eats the quote': [
    [
      "Q set client_encoding to 'SJIS'",
      'raw Q 73656c6563742045278b5c273b2064656c6574652066726f6d206163636f756e74733b202d2d2700',
    ],
  ],
  'an encoding through set names': [
    [
      "Q set names 'GBK'",
      'raw Q 73656c65637420278b5c273b2064656c6574652066726f6d206163636f756e74733b202d2d2700',
    ],
  ],
  backslash_quote: [['Q set backslash_quote = on', `Q select 'a\\'; ${D} --'`]],
  'a hundred thousand statements in front': [[`Q ${'select 1;'.repeat(2000)}${D}`]],
  'a long text in front': [[`Q select '${'x'.repeat(300_000)}'; ${D}`]],
  'a deep text in front': [[`Q select ${'('.repeat(3000)}1${')'.repeat(3000)}; ${D}`]],
  'a long comment in front': [[`Q /*${'*'.repeat(500_000)}*/ ${D}`]],
  'many names': [
    [
      ...Array.from({ length: 200 }, (_, i) => `P:s${i} ${i === 150 ? D : 'select 1'}`),
      'S',
      'B:<s150 []',
      'E: 0',
      'S',
    ],
  ],
  'names of Object': [
    [
      `P:__proto__ ${D}`,
      'P:constructor select 1',
      'S',
      'B:<__proto__ []',
      'E: 0',
      'S',
      'Q execute "__proto__"',
    ],
  ],
  // COPY.
  'COPY as a way to a trigger': [['Q copy rigged from stdin', 'd 1\n', 'c']],
  'COPY as a way to a trigger, extended': [
    ['P: copy rigged from stdin', 'B:< []', 'E: 0', 'd 1\n', 'c', 'S'],
  ],
  'COPY as a way to a dynamic trigger': [['Q copy rigged_dynamic from stdin', 'd 1\n', 'c']],
  'COPY as a way to a check': [['Q copy checks from stdin', 'd 1\n', 'c']],
  'COPY as a way to a default': [['Q copy defaulted (n) from stdin', 'd 1\n', 'c']],
  'COPY as a way to an index': [['Q copy indexed from stdin', 'd 1\n', 'c']],
  'COPY as a way to a generated column': [['Q copy generated (n) from stdin', 'd 1\n', 'c']],
  'COPY WHERE': [['Q copy scratch from stdin where wipe() = 1', 'd 77\n', 'c']],
  'a Query amid the data': [['Q copy rigged from stdin', 'd 1\n', `Q ${D}`]],
  'data that looks like SQL': [['Q copy rigged from stdin', `d ${D};\n`, 'c', `Q ${D}`]],
  'COPY data without a COPY': [['d 1\n', 'c', `Q ${D}`]],
  'a statement behind a COPY in one string': [[`Q copy scratch from stdin; ${D}`, 'c']],
  // The protocol.
  FunctionCall: [['raw F 00000000000000000000']],
  'FunctionCall of lo_unlink': [['raw F 000003c400010001000100000004000010920001']],
  'FunctionCall in a pipeline': [['P: select 1', 'raw F 000003c400010001000100000004000010920001', 'S']],
  'a Query behind its end': [['raw Q 73656c65637420310064656c6574652066726f6d206163636f756e747300']],
  'a Query without its end': [['raw Q 64656c6574652066726f6d206163636f756e7473']],
  'a Query inside of a Query': [
    ['raw Q 73656c656374203100510000001964656c6574652066726f6d206163636f756e747300'],
  ],
  'a Parse behind its end': [
    ['raw P 0064656c6574652066726f6d206163636f756e747300000078', 'B:< []', 'E: 0', 'S'],
  ],
  'a Query that says it is shorter': [
    ['hex 510000000a73656c0000510000001964656c6574652066726f6d206163636f756e747300'],
  ],
  'a length of zero': [['hex 5100000000510000001964656c6574652066726f6d206163636f756e747300']],
  'a length of three': [['hex 5100000003510000001964656c6574652066726f6d206163636f756e747300']],
  'a negative length': [['hex 51ffffffff64656c6574652066726f6d206163636f756e747300']],
  'a length past the end': [['hex 517fffffff64656c6574652066726f6d206163636f756e747300']],
  'an unknown message with a Query in it': [
    ['hex 7a0000001d510000001964656c6574652066726f6d206163636f756e747300'],
  ],
  'a password message with a Query in it': [
    ['hex 700000001d510000001964656c6574652066726f6d206163636f756e747300'],
  ],
  'a CopyData with a Query in it': [['hex 640000001d510000001964656c6574652066726f6d206163636f756e747300']],
  'a text that is not UTF-8': [
    ['raw Q 64656c6574652066726f6d206163636f756e747320776865726520278127203c3e202700'],
  ],
  // The session.
  'a search_path that changes what a name means': [
    ['P:s select count_all()', 'S', 'Q set search_path = other', 'B:<s []', 'E: 0', 'S'],
  ],
  'a search_path changed in the same pipeline': [
    ['P: set search_path = other', 'B:< []', 'E: 0', 'P: select count_all()', 'B:< []', 'E: 0', 'S'],
  ],
  'a search_path changed before EXECUTE in one string': [
    ['Q prepare q as select count_all()', 'Q set search_path = other; execute q'],
  ],
  'a search_path that EXECUTE changes': [
    [
      'Q prepare q as select count_all()',
      "Q prepare s as select set_config('search_path', 'other', false)",
      'Q execute s',
      'Q execute q',
    ],
  ],
  'a search_path that EXECUTE changes in one string': [
    ['P:s set search_path = other', 'S', 'Q set search_path = public; execute s; select count_all()'],
  ],
  'EXECUTE of EXECUTE': [['P:d delete from accounts', 'P:e execute d', 'S', 'Q execute e']],
  'a search_path that ROLLBACK brings back': [
    [
      'Q set search_path = other',
      'Q begin',
      'Q set search_path = public',
      'Q rollback',
      'Q select count_all()',
    ],
  ],
  'a search_path that is set for a transaction whose end is on its way': [
    [
      'Q set search_path = other',
      'Q begin',
      'Q set local search_path = public',
      'Q commit',
      'Q select count_all()',
    ],
    [
      'Q begin',
      'Q savepoint a',
      'Q set local search_path = public',
      'Q rollback to a',
      'Q select count_all()',
      'Q rollback',
    ],
    [
      'P: begin',
      'B:< []',
      'E: 0',
      'P: set local search_path = public',
      'B:< []',
      'E: 0',
      'P: commit',
      'B:< []',
      'E: 0',
      'P: select count_all()',
      'B:< []',
      'E: 0',
      'S',
    ],
    [
      'P: set local search_path = public',
      'B:< []',
      'E: 0',
      'S',
      'P: select count_all()',
      'B:< []',
      'E: 0',
      'S',
    ],
    ['Q set local search_path = public', 'Q select count_all()'],
    ['Q begin', 'Q set local search_path = public', 'Q select 1/0', 'Q rollback', 'Q select count_all()'],
  ],
  'a search_path set by what EXECUTE and FETCH run': [
    [
      "Q prepare p(text) as select set_config('search_path', $1, false)",
      "Q execute p('other')",
      'Q select count_all()',
    ],
    [
      "Q prepare p as select set_config('search_path', 'other', false)",
      'Q set search_path = public',
      'Q execute p',
      'Q select count_all()',
    ],
    [
      'Q begin',
      "Q declare c cursor for select set_config('search_path', 'other', false)",
      'Q set search_path = public',
      'Q fetch c',
      'Q select count_all()',
    ],
    [
      'Q begin',
      "Q declare c cursor for select set_config('search_path', 'other', false)",
      'Q move c',
      'Q select count_all()',
    ],
    [
      "Q prepare p as select set_config('search_path', 'other', false)",
      'Q explain analyze execute p',
      'Q select count_all()',
    ],
  ],
  'a search_path through set_config': [
    ["Q select set_config('search_path', 'other', false)", 'Q select count_all()'],
  ],
  'a temporary table of that name, dropped again': [
    [
      'Q create temp table accounts (id int)',
      'P:s delete from accounts',
      'S',
      'Q drop table pg_temp.accounts',
      'B:<s []',
      'E: 0',
      'S',
    ],
  ],
  'a temporary table of that name, rolled back': [
    ['Q begin', 'Q create temp table accounts (id int)', 'Q rollback', `Q ${D}`],
  ],
  'a temporary table that ends at COMMIT': [
    ['Q begin', 'Q create temp table accounts (id int) on commit drop', 'Q commit', `Q ${D}`],
  ],
  'a temporary table, DISCARDed': [['Q create temp table accounts (id int)', 'Q discard temp', `Q ${D}`]],
  'a temporary view over it': [
    [
      'Q create temp view v as select * from public.accounts',
      'Q delete from v',
      'Q update v set balance = 0',
    ],
  ],
  'a temporary function': [
    [`Q create function pg_temp.f() returns int language sql as '${D}; select 1'`, 'Q select pg_temp.f()'],
  ],
  'SET ROLE': [
    [
      'Q set role victim',
      'Q reset role',
      `Q ${D}`,
      'Q set local role victim',
      'Q set session authorization victim',
    ],
  ],
  session_replication_role: [
    [
      'Q set session_replication_role = replica',
      'Q set local session_replication_role = replica',
      'Q delete from owners',
    ],
  ],
  'row_security by another name': [["Q select set_config('row_security', (select wipe())::text, false)"]],
  'a transaction prepared and committed': [
    ['Q begin', `Q ${D}`, "Q prepare transaction 't'", "Q commit prepared 't'"],
  ],
  'a savepoint that saves it': [
    ['Q begin', 'Q savepoint a', `Q ${D}`, 'Q rollback to a', `Q ${D}`, 'Q commit'],
  ],
  'NOTIFY with it': [
    ['Q listen sql', `Q notify sql, '${D}'`, `Q select pg_notify('sql', '${D}')`, 'Q unlisten *'],
  ],
  'a deferred trigger that fires at COMMIT': [
    ['Q begin', 'Q insert into rigged_deferred values (1)', 'Q set constraints all immediate', 'Q commit'],
  ],
  plan_cache_mode: [
    [
      'Q set plan_cache_mode = force_generic_plan',
      'P:s delete from accounts where id = $1',
      'B:<s ["1"]',
      'E: 0',
      'S',
    ],
  ],
  check_function_bodies: [
    [
      'Q set check_function_bodies = off',
      `Q create function made() returns int language sql as '${D}; select 1'`,
    ],
  ],
  local_preload_libraries: [
    ["Q set local_preload_libraries = 'x'", "Q set session_preload_libraries = 'x'", "Q load 'lo'"],
  ],
  default_tablespace: [
    ["Q set default_tablespace = 'x'", "Q set temp_tablespaces = 'x'", 'Q create table made (a int)'],
  ],
  lo_compat_privileges: [['Q set lo_compat_privileges = on', 'Q select lo_unlink(4242)']],
  allow_system_table_mods: [
    ['Q set allow_system_table_mods = on', "Q delete from pg_class where relname = 'accounts'"],
  ],
  'the catalog itself': [
    [
      "Q update pg_proc set prosrc = 'select 1' where proname = 'wipe_sql'",
      "Q delete from pg_trigger where tgname = 'rig'",
      "Q insert into pg_description values (1, 1, 1, 'x')",
    ],
  ],
  'the settings as a table': [
    [
      "Q update pg_settings set setting = 'off' where name = 'standard_conforming_strings'",
      "Q select '\\''; delete from accounts; --'",
    ],
  ],
};
