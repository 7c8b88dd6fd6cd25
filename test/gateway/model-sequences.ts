/** Random sequences of messages: whole phrases as drivers send them, with anything between, before and in place of their parts. `@` stands for the lane's number. */
import fc from 'fast-check';

const SIMPLE = [
  'select 1',
  'select id, v from t_@ order by id',
  'select 1; select 2; select 3',
  'select 1; select 1/0; select 2',
  'insert into t_@ values (10, $$a$$); select 1/0',
  'insert into t_@ values (11, null) returning id',
  'insert into t_@ select g, $$many$$ from generate_series(20, 24) g',
  'update t_@ set v = v || $$!$$ where id = 1',
  'delete from t_@ where id = 2 returning *',
  'insert into u_@ values (1), (1)',
  '',
  ' ; ; ',
  '-- nothing',
  'selec',
  'select * from nowhere',
  "select 'open",
  'select $1',
  'begin',
  'begin isolation level serializable',
  'start transaction read only',
  'commit',
  'commit and chain',
  'rollback',
  'rollback and chain',
  'end',
  'abort',
  'savepoint s',
  'release s',
  'rollback to s',
  'begin; insert into t_@ values (12, $$b$$); commit; select 1/0',
  'begin; select 1/0; commit',
  'rollback; begin; select 3',
  'prepare a as select 7',
  'prepare b(int) as select $1 + 1',
  'prepare a as insert into t_@ values (13, $$p$$)',
  'execute a',
  'execute b(3)',
  'execute b(1/0)',
  'explain (costs off) execute a',
  'deallocate a',
  'deallocate all',
  'declare c cursor for select id from t_@ order by id',
  'declare c scroll cursor with hold for select id from t_@ order by id',
  'declare p cursor for select g from generate_series(1, 6) g',
  'fetch c',
  'fetch 2 from c',
  'fetch backward 1 from c',
  'fetch all from p',
  'move 1 in c',
  'update t_@ set v = $$w$$ where current of c',
  'close c',
  'close all',
  'listen n_@',
  'unlisten *',
  "notify n_@, 'hello'",
  "select pg_notify('n_@', 'x' || 1)",
  "set statement_timeout = '9s'",
  "set local datestyle = 'german'",
  "set datestyle = 'sql, dmy'",
  'set timezone to utc',
  'show timezone',
  "select set_config('intervalstyle', 'iso_8601', true)",
  "select date '2020-02-01', interval '1 day'",
  'set search_path = pg_temp, public',
  'reset all',
  'discard all',
  'discard temp',
  "do $$ begin raise notice 'seen'; end $$",
  "do $$ begin raise warning 'seen' using detail = 'd', hint = 'h'; perform 1/0; end $$",
  'create temp table tt (a int)',
  'insert into tt values (1)',
  'table tt',
  'drop table tt',
  'create temp table t_@ (id int, v text)',
  'create table x_@ (a int)',
  'insert into x_@ values (1) returning a',
  'drop table x_@',
  'create table x_@ as select 1 as a',
  'lock table t_@',
  "prepare transaction 'g@'",
  "commit prepared 'g@'",
  "rollback prepared 'g@'",
  'values (1, null), (2, $$x$$)',
  "select repeat('x', 20000)",
  'select',
  'select from t_@ for update',
  'vacuum x_@',
  'select 1; vacuum',
  'copy t_@ to stdout',
  'copy (select id from t_@ where id < 3) to stdout with (format csv, header); select 4',
  'copy nowhere from stdin',
  'copy t_@ from stdin',
  'copy t_@ (id) from stdin with (format csv)',
  'copy t_@ from stdin; select 5',
  'copy t_@ from stdin; copy t_@ from stdin',
  'begin; copy t_@ from stdin; commit',
];
const PREPARED = [
  'select 1',
  'select $1::int',
  'select $1, $2',
  'select g from generate_series(1, 5) g',
  'insert into t_@ values ($1, $2)',
  'insert into t_@ values (14, $$ext$$) returning id',
  'update t_@ set v = $2 where id = $1',
  'delete from t_@ where id = $1',
  'select id, v from t_@ order by id',
  '',
  'selec',
  'select 1; select 2',
  'select * from nowhere',
  'select 1/0',
  'begin',
  'commit',
  'rollback',
  'savepoint s',
  'declare c cursor for select 1',
  'fetch all from c',
  'fetch 1 from p',
  'deallocate b',
  'deallocate all',
  'close all',
  'prepare b as select 8',
  "notify n_@, 'ext'",
  'set local timezone to utc',
  "do $$ begin raise notice 'ext'; end $$",
  'copy t_@ from stdin',
  'copy t_@ to stdout',
  'create temp table tt (a int)',
  'table tt',
  'insert into u_@ values (2), (2)',
];
const STATEMENTS = ['', 'a', 'b', 'nope'];
const PORTALS = ['', 'p', 'a', 'c'];
const VALUES = ['[]', '["1"]', '["5"]', '["x"]', '["7","v"]', '[null,null]', '["1","2","3"]'];
const ROWS = [0, 0, 1, 2, 100];
const LINES = ['31\tx\n', '32\t\\N\n', '33,y\n', '34\n', 'bad\n', '35\t', '\\.\n', '', '1\tduplicate\n'];

const simple = fc.constantFrom(...SIMPLE).map((sql) => `Q ${sql}`);
const statement = fc.constantFrom(...STATEMENTS);
const portal = fc.constantFrom(...PORTALS);
const parse = fc
  .tuple(statement, fc.constantFrom('', '', '', '(23)', '(25,25)'), fc.constantFrom(...PREPARED))
  .map(([name, types, sql]) => `P:${name}${types} ${sql}`);
const bind = fc
  .tuple(portal, statement, fc.constantFrom(...VALUES))
  .map(([name, from, values]) => `B:${name}<${from} ${values}`);
const execute = fc.tuple(portal, fc.constantFrom(...ROWS)).map(([name, rows]) => `E:${name} ${rows}`);
const named = fc
  .tuple(fc.constantFrom('DS', 'DP', 'CS', 'CP'), fc.constantFrom('', 'a', 'b', 'p', 'c'))
  .map(([what, name]) => `${what}:${name}`);
const line = fc.constantFrom(...LINES).map((text) => `d ${text}`);
/** Bodies that are cut short, too long, not UTF-8 or of another kind. */
const malformed = fc.constantFrom(
  'raw Q ',
  'raw Q 73656c656374',
  'raw Q 73656c6563740031',
  'raw Q ff00',
  'raw P 00',
  'raw P 0073656c656374203100ffff',
  'raw B 0000',
  'raw B 0000000000000000',
  'raw B 61006200000100010000000178000000',
  'raw E 00',
  'raw D 7800',
  'raw C 5300',
  'raw C 5361',
  'raw S 00',
  'raw H 00',
  'raw f ',
  'raw c 00',
);
/** After these nobody goes on. */
const last = fc.constantFrom(
  'X',
  'raw ! 00',
  'raw p 00',
  'hex 5100000003',
  'hex 51ffffffff',
  'hex 517fffffff',
  'raw z ',
);
const control = fc.constantFrom('S', 'S', 'S', 'H', '~');

const whole = fc
  .tuple(parse, bind, execute, fc.constantFrom('S', 'H', '~', 'S'), fc.boolean())
  .map(([p, b, e, end, described]) => {
    const name = p.slice(2).split(/[ (]/)[0] ?? '';
    const bound = b.replace(/<\w*/, `<${name}`);
    const from = bound.slice(2).split('<')[0] ?? '';
    const run = e.replace(/^E:\w*/, `E:${from}`);
    return described ? [p, `DS:${name}`, bound, `DP:${from}`, run, end] : [p, bound, run, end];
  });
const fetches = fc
  .tuple(
    fc.array(
      fc.oneof(
        execute.map((one) => one.replace(/^E:\w*/, 'E:p')),
        control,
      ),
      { minLength: 1, maxLength: 4 },
    ),
    simple,
  )
  .map(([parts, between]) => [
    'Q begin',
    'P:a select g from generate_series(1, 5) g',
    'B:p<a []',
    ...parts,
    between,
    'E:p 1',
    'S',
  ]);
const copy = fc
  .tuple(
    fc.constantFrom(
      ['Q copy t_@ from stdin'],
      ['Q copy t_@ from stdin; copy t_@ from stdin; select 6'],
      ['Q begin; copy t_@ from stdin'],
      ['P: copy t_@ from stdin', 'B:< []', 'E: 0'],
      ['P: copy t_@ from stdin', 'B:< []', 'E: 0', 'S'],
    ),
    fc.array(fc.oneof({ weight: 4, arbitrary: line }, { weight: 1, arbitrary: control }), { maxLength: 4 }),
    fc.constantFrom(
      ['c'],
      ['c', 'S'],
      ['f no'],
      ['f no', 'S'],
      ['c', 'c'],
      ['c', 'd 41\tagain\n', 'c', 'S'],
      ['S', 'c', 'S'],
    ),
  )
  .map((parts) => parts.flat());

/** Whether there is such a statement is asked at Parse already. */
const executed = fc
  .constantFrom('select 7', 'insert into t_@ values (15, $$e$$)', 'select id from t_@')
  .map((sql) => [
    ...['Q rollback', 'Q deallocate all', `Q prepare a as ${sql}`],
    ...['P:b execute a', 'B:p<b []', 'E:p 1', 'E:p 0', 'S'],
  ]);

const one = fc.oneof(
  simple,
  parse,
  bind,
  execute,
  named,
  control,
  line,
  fc.constantFrom('c', 'f why'),
  malformed,
);
const part = fc.oneof(
  { weight: 6, arbitrary: simple.map((step) => [step]) },
  { weight: 6, arbitrary: whole },
  { weight: 6, arbitrary: one.map((step) => [step]) },
  { weight: 2, arbitrary: fetches },
  { weight: 2, arbitrary: copy },
  { weight: 1, arbitrary: executed },
  { weight: 2, arbitrary: control.map((step) => [step]) },
);
const CANCEL = fc.constantFrom(['cancel simple'], ['cancel extended'], ['cancel in a transaction']);

/**
 * Behind data of a COPY comes its end first: whether the server reads the message after a bad line inside or outside of the COPY is for
 * nobody else to know (docs/compatibility.md).
 */
function ended(steps: readonly string[]): string[] {
  const done: string[] = [];
  let copies = false;
  let data = false;
  for (const step of steps) {
    if (data && !/^([dc]( |$)|f |~)/.test(step)) done.push('c');
    if (!/^(d |~)/.test(step)) data = false;
    copies ||= step.includes('from stdin');
    data ||= copies && step.startsWith('d ');
    done.push(step);
  }
  return done;
}

export interface Sequence {
  readonly steps: readonly string[];
  /** Bytes of one write; 0: all of them. */
  readonly cut: number;
}
export const sequences: fc.Arbitrary<Sequence> = fc
  .tuple(
    fc.array(part, { minLength: 1, maxLength: 7 }),
    fc.oneof({ weight: 30, arbitrary: fc.constant<string[]>([]) }, { weight: 1, arbitrary: CANCEL }),
    fc.oneof(
      { weight: 15, arbitrary: fc.constant<string[]>([]) },
      { weight: 1, arbitrary: last.map((step) => [step]) },
    ),
    fc.constantFrom(0, 0, 0, 1, 5, 11),
  )
  .map(([parts, cancel, end, cut]) => ({ steps: ended([...parts.flat(), ...cancel, ...end]), cut }));
