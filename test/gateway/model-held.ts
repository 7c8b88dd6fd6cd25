/**
 * Sequences of the model with statements in between that wait for somebody, and what that somebody does. Each such statement puts a number of
 * its own into the lane's ledger or takes one out of it, so that the table says how often it took effect.
 */
import fc from 'fast-check';
import { type Sequence, sequences } from './model-sequences.ts';

export type Answer = 'approve' | 'deny' | 'wait' | 'cancel';
export interface HeldSequence extends Sequence {
  /** One for each that is asked about, in order; then `deny`. */
  readonly answers: readonly Answer[];
  /** `holdpoint.wait` of the session. */
  readonly wait: '0' | '200ms' | '20s';
}

/** `#`: a number of its own, `%`: a row that is there to be taken; the nth of each sequence is `#n.` and `%n.` afterwards. */
const SIMPLE = [
  'insert into ledger_@ values (#)',
  'delete from ledger_@ where id = %',
  'select 1; insert into ledger_@ values (#); select 2',
  'insert into ledger_@ values (#); select 1/0',
  'insert into ledger_@ values (#), (#)',
  'begin; insert into ledger_@ values (#); commit',
  'begin; insert into ledger_@ values (#); rollback',
  'begin; insert into ledger_@ values (#); commit; select 1/0',
  'with x as (delete from ledger_@ where id = % returning id) select * from x',
  'create table if not exists ledger_@ (x int); insert into ledger_@ values (#)',
  'do $$ begin insert into ledger_@ values (#); end $$',
  'prepare a as insert into ledger_@ values (#)',
  'explain analyze insert into ledger_@ values (#)',
  'explain (analyze, costs off) delete from ledger_@ where id = %',
  'declare c cursor for select id from ledger_@ for update',
];
const EXTENDED = [
  'insert into ledger_@ values (#)',
  'insert into ledger_@ values (#) returning id',
  'delete from ledger_@ where id = %',
  'insert into ledger_@ select # from generate_series(1, 1)',
];
const name = fc.constantFrom('', '', 'a', 'b');
const query = fc.constantFrom(...SIMPLE).map((sql) => [`Q ${sql}`]);
const extended = fc
  .tuple(
    name,
    fc.constantFrom('', '', 'p'),
    fc.constantFrom(...EXTENDED),
    fc.constantFrom(['S'], ['S'], ['H'], ['~', 'S'], []),
    fc.constantFrom<readonly string[]>([], ['S'], ['H'], ['~'], ['E:nope 0'], ['S', 'Q select 5']),
    fc.integer({ min: 0, max: 3 }),
    fc.constantFrom(0, 1),
  )
  .map(([of, portal, sql, end, between, at, rows]) => {
    const parts: (readonly string[])[] = [
      [`P:${of} ${sql}`],
      [`B:${portal}<${of} []`],
      [`E:${portal} ${rows}`],
      end,
    ];
    parts.splice(at, 0, at === 0 ? [] : between);
    return parts.flat();
  });
const again = fc.constantFrom(
  ['B:<a []', 'E: 0', 'S'],
  ['B:<b []', 'E: 0', 'S'],
  ['E: 0', 'S'],
  ['E:p 0', 'S'],
  ['Q execute a'],
  ['CS:a', 'S'],
  ['CP:p', 'S'],
);
const transaction = fc.constantFrom(
  'begin',
  'commit',
  'commit',
  'rollback',
  'savepoint s',
  'rollback to s',
  'release s',
);
const part = fc.oneof(
  { weight: 4, arbitrary: query },
  { weight: 4, arbitrary: extended },
  { weight: 2, arbitrary: again },
  { weight: 3, arbitrary: transaction.map((sql) => [`Q ${sql}`]) },
  // What the other mode says, without what ends the session or cancels.
  {
    weight: 3,
    arbitrary: sequences.map(({ steps }) =>
      steps.filter((step) => !/^(X|hex|raw|cancel|[dcf]( |$))|copy/.test(step)).slice(0, 4),
    ),
  },
);

/** Where a Query follows extended messages without a Sync, PostgreSQL 18 may itself undo what it said was done (model.ts): nothing to ask it. */
function synced(steps: readonly string[]): string[] {
  let open = false;
  return steps.flatMap((step) => {
    if (step === '~') return [step];
    const sync = open && step.startsWith('Q ');
    open = !/^(Q |S$)/.test(step);
    return sync ? ['S', step] : [step];
  });
}

export const heldSequences: fc.Arbitrary<HeldSequence> = fc
  .record({
    parts: fc.array(part, { minLength: 2, maxLength: 8 }),
    cut: fc.constantFrom(0, 0, 0, 7),
    answers: fc.array(
      fc.constantFrom<Answer>('approve', 'approve', 'approve', 'approve', 'deny', 'wait', 'cancel'),
      { maxLength: 10 },
    ),
    wait: fc.constantFrom<HeldSequence['wait']>('0', '0', '200ms', '20s', '20s'),
    twice: fc.boolean(),
  })
  .map(({ parts, twice, ...rest }) => {
    let number = 0;
    const steps = parts.flat().map((step) => step.replace(/[#%]/g, (sign) => `${sign}${number++ % 50}.`));
    return { steps: synced(twice ? [...steps, 'S', '~', ...steps] : steps), ...rest };
  });
