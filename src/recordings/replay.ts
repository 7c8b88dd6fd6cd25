/**
 * Back-test: recorded statements judged again, by the policy in force and by a candidate, on the same facts. Pure but for the judges and
 * readers that are handed in. What a recording does not hold (a literal of a tagged column, say) is made up and counted.
 */
import type {
  AccessLevel,
  Effect,
  Facts,
  PolicyContext,
  ResolutionContext,
  Verdict,
} from '../policy/types.ts';
import type { RecordedEvent, SessionMeta } from './types.ts';

export interface Opinion {
  /** null: it could not be judged; the verdict says why. */
  readonly facts: Facts | null;
  readonly verdict: Verdict;
}
/** `policy.now` is the time of the statement. */
export type ReplayJudge = (
  sql: string,
  policy: PolicyContext & { readonly now: number },
  resolution: ResolutionContext,
) => Promise<Opinion>;

export interface ReplaySession {
  readonly id: string;
  /** Rejects with a sentence when it cannot be read or does not verify. */
  read(): Promise<readonly RecordedEvent[]>;
}

export interface ReplayInput {
  readonly sessions: Iterable<ReplaySession>;
  readonly since: number;
  /** Only statements of this target; null: of any. */
  readonly target: string | null;
  readonly candidate: ReplayJudge;
  /** null: the recorded verdicts are what the candidate is compared with. */
  readonly before: ReplayJudge | null;
  /** Of recordings that do not say it. */
  readonly levelOf: (role: string) => AccessLevel;
  /** After it, what was not looked at is left out and `partial` says so. */
  readonly outOfTime: () => boolean;
}

export interface ReplayExample {
  readonly session: string;
  readonly n: number;
  readonly at: number;
  readonly who: string;
  /** Literals of tagged columns, by either policy, are placeholders. */
  readonly sql: string;
}
export interface ReplayGroup {
  readonly from: string;
  readonly to: string;
  readonly stricter: boolean;
  readonly verb: string;
  readonly relations: readonly string[];
  /** That decide now and that would. */
  readonly rules: { readonly before: readonly string[]; readonly after: readonly string[] };
  readonly count: number;
  /** Owners it would meet. */
  readonly owners: number;
  readonly examples: readonly ReplayExample[];
}
export interface ReplayReport {
  readonly sessions: number;
  readonly statements: number;
  readonly changed: number;
  /** Most first. */
  readonly groups: readonly ReplayGroup[];
  /** Groups beyond the bound: their statements are in `changed`. */
  readonly moreGroups: number;
  /** What judged before does not say today what the recording says: schema or policy changed since, or names were looked up at the server. */
  readonly recordedOtherwise: number;
  /** Judged with a made-up literal, because the recording holds none. */
  readonly madeUp: number;
  /** Not judged: the recording holds no text that can be. */
  readonly withheld: number;
  readonly unread: readonly { readonly session: string; readonly why: string }[];
  readonly partial: boolean;
}

const MAX_GROUPS = 200;
const MAX_EXAMPLES = 3;
const MAX_EXAMPLE = 2000;
const RANK: Readonly<Record<Effect, number>> = { allow: 0, hold: 1, deny: 2 };

interface Group extends Omit<ReplayGroup, 'count' | 'owners' | 'examples'> {
  count: number;
  readonly owners: Set<string>;
  readonly examples: ReplayExample[];
}

export async function replay(input: ReplayInput): Promise<ReplayReport> {
  const groups = new Map<string, Group>();
  const more = new Set<string>();
  const unread: { session: string; why: string }[] = [];
  const sum = { sessions: 0, statements: 0, changed: 0, recordedOtherwise: 0, madeUp: 0, withheld: 0 };
  let partial = false;
  for (const session of input.sessions) {
    if (input.outOfTime()) {
      partial = true;
      break;
    }
    let events: readonly RecordedEvent[];
    try {
      events = await session.read();
    } catch (error) {
      unread.push({ session: session.id, why: error instanceof Error ? error.message : 'cannot be read' });
      continue;
    }
    const meta = events.find((event) => event.kind === 'session')?.session;
    if (meta === undefined || (input.target !== null && meta.target !== input.target)) continue;
    const results = new Map(
      events.flatMap((event) => (event.kind === 'result' ? [[event.n, event] as const] : [])),
    );
    const state = createState(meta, input.levelOf);
    let counted = false;
    for (const event of events) {
      if (event.kind !== 'statement') continue;
      if (input.outOfTime()) {
        partial = true;
        break;
      }
      const text = runnable(event.sql);
      if (text === null) {
        sum.withheld += 1;
        continue;
      }
      const context = { ...state.policy(), now: event.t };
      const resolution = state.resolution();
      const after = await input.candidate(text.sql, context, resolution);
      const before = input.before === null ? null : await input.before(text.sql, context, resolution);
      const facts = before?.facts ?? after.facts;
      // Whether it ran changes what the next ones mean.
      if (facts !== null && results.get(event.n)?.error == null) state.ran(facts);
      else if (results.get(event.n)?.error != null) state.failed();
      if (event.t < input.since) continue;
      counted = true;
      sum.statements += 1;
      if (text.madeUp) sum.madeUp += 1;
      const recorded = event.effect === 'probe' ? null : event.effect;
      if (before !== null && recorded !== null && recorded !== before.verdict.effect)
        sum.recordedOtherwise += 1;
      const from = before === null ? recorded : before.verdict;
      if (from === null || same(from, after.verdict)) continue;
      sum.changed += 1;
      add(event, meta, text.sql, before, after);
    }
    if (counted) sum.sessions += 1;
  }

  function add(
    event: Extract<RecordedEvent, { kind: 'statement' }>,
    meta: SessionMeta,
    sql: string,
    before: Opinion | null,
    after: Opinion,
  ): void {
    const heaviest =
      after.facts?.statements.find((one) => one.class === after.facts?.class) ?? after.facts?.statements[0];
    const relations = [
      ...new Set(
        (heaviest?.relations ?? []).map(({ schema, name }) => (schema === null ? name : `${schema}.${name}`)),
      ),
    ];
    const rules = { before: before?.verdict.rules ?? event.rules, after: after.verdict.rules };
    const from = before === null ? event.effect : told(before.verdict);
    const to = told(after.verdict);
    const verb = heaviest?.verb ?? event.class.toUpperCase();
    const key = JSON.stringify([from, to, verb, relations, rules]);
    let group = groups.get(key);
    if (group === undefined) {
      if (groups.size >= MAX_GROUPS) {
        if (more.size < 10_000) more.add(key);
        return;
      }
      const was = before?.verdict.effect ?? (event.effect === 'probe' ? 'allow' : event.effect);
      const stricter = RANK[after.verdict.effect] > RANK[was];
      group = {
        from,
        to: from === to ? `${to}, other terms` : to,
        stricter,
        verb,
        relations,
        rules,
        count: 0,
        owners: new Set(),
        examples: [],
      };
      groups.set(key, group);
    }
    group.count += 1;
    group.owners.add(meta.ownerId ?? meta.subject);
    if (group.examples.length >= MAX_EXAMPLES) return;
    const shown = hide(sql, [before?.facts ?? null, after.facts]);
    if (group.examples.some((one) => one.sql === shown)) return;
    group.examples.push({ session: meta.id, n: event.n, at: event.t, who: whoOf(meta), sql: shown });
  }

  return {
    ...sum,
    groups: [...groups.values()]
      .sort((a, b) => b.count - a.count)
      .map(({ owners, ...group }) => ({ ...group, owners: owners.size })),
    moreGroups: more.size,
    unread,
    partial,
  };
}

const told = ({ effect, observed }: Verdict): string =>
  observed === undefined
    ? effect
    : `${effect} (observed: ${observed.effect} by ${observed.rules.join(', ')})`;

function same(before: Verdict | Effect, after: Verdict): boolean {
  if (typeof before === 'string') return before === after.effect;
  return (
    before.effect === after.effect &&
    (before.effect !== 'hold' || JSON.stringify(before.terms) === JSON.stringify(after.terms)) &&
    JSON.stringify(before.observed) === JSON.stringify(after.observed)
  );
}

function whoOf({ agent, ownerName, ownerEmail, ownerId, subject }: SessionMeta): string {
  const owner = ownerName ?? ownerEmail ?? ownerId;
  return agent === null ? (owner ?? subject) : owner === null ? agent : `${agent} for ${owner}`;
}

/** The text as it can be parsed: what it runs by name is left out, placeholders become literals. null: nothing to judge is left. */
function runnable(recorded: string): { readonly sql: string; readonly madeUp: boolean } | null {
  const text = recorded.split('\n-- runs:\n')[0] ?? '';
  if (/<pii:(?:statement|code)>|… \(\d+ characters\)$/.test(text)) return null;
  const sql = text.replace(/<pii:(text|number|bits)>/g, (_, kind: string) =>
    kind === 'text' ? "'pii'" : kind === 'number' ? '0' : "B'0'",
  );
  return { sql, madeUp: sql !== text };
}

function hide(sql: string, by: readonly (Facts | null)[]): string {
  const spans = by
    .flatMap((facts) => facts?.redactions ?? [])
    .sort((a, b) => a.start - b.start || b.end - a.end);
  let [text, at] = ['', 0];
  for (const { start, end, label } of spans) {
    if (start < at) continue;
    text += sql.slice(at, start) + label;
    at = end;
  }
  text += sql.slice(at);
  return text.length <= MAX_EXAMPLE ? text : `${text.slice(0, MAX_EXAMPLE)}…`;
}

/** What a session's own statements change for those after them. On doubt the path is unknown: every candidate counts then. */
function createState(meta: SessionMeta, levelOf: (role: string) => AccessLevel) {
  let transaction: PolicyContext['transaction'] = 'idle';
  let searchPath: readonly string[] | null = ['public'];
  const temp = new Set<string>();
  return {
    policy: (): PolicyContext => ({
      target: meta.target,
      environment: meta.environment,
      owner: meta.ownerId,
      agent: meta.agent,
      groups: meta.groups ?? [],
      level: meta.level ?? levelOf(meta.role),
      transaction,
    }),
    resolution: (): ResolutionContext => ({ searchPath, tempRelations: [...temp] }),
    ran(facts: Facts): void {
      for (const { effects, settings } of facts.statements) {
        if (settings.some(({ name }) => name === 'search_path' || name === 'role' || name === '*'))
          searchPath = null;
        for (const effect of effects) {
          if (effect.kind === 'begin') transaction = 'open';
          if (effect.kind === 'commit' || effect.kind === 'rollback') transaction = 'idle';
          if (effect.kind === 'rollback-to') transaction = 'open';
          if (effect.kind === 'temp-relation') temp.add(effect.name);
        }
      }
    },
    failed(): void {
      if (transaction === 'open') transaction = 'failed';
    },
  };
}
