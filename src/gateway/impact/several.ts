/** Which statements of a string the target is asked about: the one, or the first few of those that weigh. */
import type { Facts, StatementClass, StatementFacts } from '../../policy/types.ts';
import type { Subject } from '../draft.ts';
import { describe, relationNames } from '../errors.ts';
import { none, type Question, question, questionOf, type Seen } from './question.ts';

export interface PartQuestion {
  readonly what: string;
  /** Earlier statements of the string change what is there. */
  readonly approximate: boolean;
  readonly asks: Question;
}

const MOST = 5;
const QUIET: ReadonlySet<StatementClass> = new Set(['empty', 'session', 'transaction', 'cursor', 'prepare']);
const READS: ReadonlySet<StatementClass> = new Set([...QUIET, 'read', 'explain']);

/** `of`: how many weigh. What was prepared and the string that runs it are one. */
export async function questionsOf(
  subject: Subject,
  seen: Seen,
): Promise<{ readonly asked: readonly PartQuestion[]; readonly of: number }> {
  const [judged] = subject.plan.judged;
  const statements = judged?.facts?.statements ?? [];
  const weighty = weightyOf(statements);
  if (judged?.facts === null || judged === undefined || weighty.length <= 1)
    return { asked: [{ what: '', approximate: false, asks: await questionOf(subject, seen) }], of: 1 };
  const asked: PartQuestion[] = [];
  for (const at of weighty.slice(0, MOST)) {
    const one = statements[at];
    if (one === undefined) continue;
    const before = statements.slice(0, at);
    const text = textOf(judged.sql, judged.facts, at);
    const why = text === null ? 'it could not be read' : hindered(one, before);
    const facts = { ...judged.facts, statements: [one] };
    const values = { values: [], formats: [], paramTypes: [] };
    asked.push({
      what: `${at + 1}. ${describe(one.verb, relationNames(one))}`,
      approximate: before.some((earlier) => !READS.has(earlier.class)),
      asks: why !== null ? none(why) : await question({ sql: text ?? '', facts, subject: values }, seen),
    });
  }
  return { asked, of: weighty.length };
}

/** Those that change something or return tagged columns; where there are none, all that read. */
function weightyOf(statements: readonly StatementFacts[]): readonly number[] {
  const those = (is: (one: StatementFacts) => boolean) =>
    statements.flatMap((one, at) => (is(one) ? [at] : []));
  const risky = those((one) => !READS.has(one.class) || (one.class === 'read' && one.columns.length > 0));
  return risky.length > 0 ? risky : those((one) => !QUIET.has(one.class));
}

function textOf(sql: string, { spans }: Facts, at: number): string | null {
  const span = spans?.[at];
  return span === undefined ? null : sql.slice(...span);
}

/** What is there now says nothing of it. */
function hindered(one: StatementFacts, before: readonly StatementFacts[]): string | null {
  if (before.some(({ settings }) => settings.length > 0)) return 'an earlier statement changes settings';
  const changed = new Set(before.flatMap(({ changes }) => changes ?? []));
  const names = one.relations.map(({ name }) => name);
  return changed.has('*') || names.some((name) => changed.has(name))
    ? 'an earlier statement changes what it names'
    : null;
}
