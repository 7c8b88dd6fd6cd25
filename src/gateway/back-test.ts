/** `policy replay` at a target: recorded sessions judged by two policies on the target's present catalog, beside the traffic, not in it. */
import { createPolicyHolder, type HeldPolicy, type PolicyHolder } from '../policy/rules/index.ts';
import type { AccessLevel } from '../policy/types.ts';
import { type ReplayJudge, type ReplayReport, type ReplaySession, replay } from '../recordings/replay.ts';
import type { Recorder, SessionIndex } from '../recordings/types.ts';
import { isAudit } from './audit.ts';
import { catalogLogin, connectCatalog, createCatalog, createJudge } from './judge/index.ts';
import type { Judge, Target } from './types.ts';

const MAX_SESSIONS = 1000;
const BUDGET_MS = 240_000;

export async function backTest(input: {
  readonly target: Target;
  readonly inForce: HeldPolicy;
  /** null: what is in force is compared with what was recorded. */
  readonly candidate: PolicyHolder | null;
  readonly since: number;
  readonly sessions: SessionIndex;
  readonly recorder: Pick<Recorder, 'read' | 'verify'>;
  readonly now: () => number;
}): Promise<ReplayReport> {
  const { target, inForce, candidate, since, recorder, now } = input;
  const login = catalogLogin(target);
  if (login === null) throw new Error(`target ${target.name} has no upstream login for its catalog`);
  const rows = await input.sessions.list({ target: target.name, since, limit: MAX_SESSIONS });
  const catalog = createCatalog({
    now,
    connect: () => connectCatalog(target, login),
    maxAgeMs: BUDGET_MS * 2,
  });
  const judges: Judge[] = [];
  /** One statement at a time: the clock of a judge is the time of its statement. */
  const judgeOf = (policy: PolicyHolder): ReplayJudge => {
    let clock = now();
    const judge = createJudge({
      target,
      policy,
      catalog,
      now: () => clock,
      workers: 1,
      cacheBytes: 16 * 1024 * 1024,
    });
    judges.push(judge);
    return (sql, { now: at, ...context }, resolution) => {
      clock = at;
      return judge.judge(sql, { policy: context, resolution, paramTypes: [] });
    };
  };
  try {
    // Without its catalog every answer would be a refusal.
    await catalog.ensure();
    const present = judgeOf(createPolicyHolder(inForce.text));
    const levels = new Map(
      Object.entries(target.logins).map(([level, { user }]) => [user, level as AccessLevel]),
    );
    const deadline = performance.now() + BUDGET_MS;
    const report = await replay({
      sessions: rows.filter(({ id }) => !isAudit(id)).map((row) => sessionOf(row.id, recorder)),
      since,
      target: target.name,
      candidate: candidate === null ? present : judgeOf(candidate),
      before: candidate === null ? null : present,
      levelOf: (role) => levels.get(role) ?? 'read-write',
      outOfTime: () => performance.now() > deadline,
    });
    return rows.length < MAX_SESSIONS ? report : { ...report, partial: true };
  } finally {
    await Promise.all(judges.map((judge) => judge.close()));
    await catalog.close();
  }
}

function sessionOf(id: string, recorder: Pick<Recorder, 'read' | 'verify'>): ReplaySession {
  return {
    id,
    async read() {
      const verified = await recorder.verify(id);
      if (verified.kind === 'broken')
        throw new Error(`it does not verify (line ${verified.at}): ${verified.why}`);
      return recorder.read(id);
    },
  };
}
