/**
 * Random sequences with statements that wait, and somebody who approves, denies, lets time pass or is cancelled. Of the database: what was not
 * approved did not happen, what was approved happened at most once, and what is said to have run did (I1). Of the session: it stays in step (I6).
 * `node test/suites/model.mjs --held --runs 10000` runs more of them.
 */
import fc from 'fast-check';
import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { ApprovalRequest } from '../../src/approvals/types.ts';
import { holdsAsync } from '../support/property.ts';
import { serialize, type WireClient } from '../support/wire-client.ts';
import { type Caller, type Ground, ground } from './held-ground.ts';
import { reproduction, SERVERS_OWN, TABLES } from './model.ts';
import { type HeldSequence, heldSequences } from './model-held.ts';
import { bytesOf } from './model-steps.ts';
import type { Bench } from './support.ts';

const RUNS = Number(process.env['HP_RUNS'] ?? 40);
const SEED = Number(process.env['HP_SEED'] ?? 1);
/** Of four people, so that nobody uses what another was granted. */
const LANES: readonly Caller[] = ['cred_cursor', 'cred_other_agent', 'cred_no_agent', 'cred_other_owner'];

/** Went wrong once. The Bind of what a Query has dropped waits, is approved and fails while its Execute is looked at. */
const SEEN: [HeldSequence][] = [
  [
    {
      steps: ['P: insert into ledger_@ values (#0.)', 'S', 'Q select 5', 'B:< []', 'E: 1', 'S'],
      cut: 0,
      answers: ['approve'],
      wait: '20s',
    },
  ],
];

let g: Ground;
let shop: Bench;
let runs = 0;
let approved = 0;
let executed = 0;
beforeAll(async () => {
  const ledgers = LANES.map((_, i) => `create table ledger_${i} (id int); grant all on ledger_${i} to app;`);
  g = await ground(TABLES(LANES.length) + ledgers.join(''), { max_prepared_transactions: '20' });
  shop = await g.gateway({
    levelFor: () => 'admin',
    target: { logins: { admin: { user: 'app', password: 'app-secret' } } },
  });
});
afterAll(() => g?.stop());

async function play(
  client: WireClient,
  { steps, cut, wait, answers }: HeldSequence,
  as: Caller,
  run: number,
  side: pg.Client,
) {
  const asked = new Map<string, ApprovalRequest>();
  const left = [...answers];
  const work: Promise<unknown>[] = [];
  let lost = false;
  const stop = g.desk.onChange((request) => {
    if (request.requester.credentialId !== as) return;
    const known = asked.get(request.id);
    if (known !== undefined && known.version > request.version) return;
    asked.set(request.id, request);
    if (request.state !== 'pending' || !request.waiterLive || known?.waiterLive) return;
    const answer = left.shift() ?? 'deny';
    if (answer === 'approve') {
      approved += 1;
      work.push(g.approve(request.id));
    } else if (answer === 'cancel' && wait === '20s') work.push(cancel(client));
    else if (answer === 'deny' || wait === '20s') work.push(g.deny(request.id));
  });
  try {
    lost = await converse(client, steps, cut, run);
    client.close();
    await gone(as, side);
    await Promise.all(work);
    for (const id of asked.keys())
      await expect
        .poll(async () => (await g.desk.get(id))?.state, { message: `${id} comes to rest` })
        .not.toBe('executing');
  } finally {
    stop();
  }
  const all = [...asked.keys()].map(async (id) => (await g.desk.get(id)) as ApprovalRequest);
  return { requests: await Promise.all(all), lost };
}

async function cancel(client: WireClient): Promise<void> {
  const other = await g.open(shop);
  other.send(serialize.cancel(client.key.pid, client.key.secret));
  await other.end();
}

async function converse(
  client: WireClient,
  steps: readonly string[],
  cut: number,
  run: number,
): Promise<boolean> {
  let waiting: Buffer[] = [];
  const send = (): void => {
    const bytes = Buffer.concat(waiting);
    waiting = [];
    if (cut === 0) client.send(bytes);
    else for (let at = 0; at < bytes.length; at += cut) client.send(bytes.subarray(at, at + cut));
  };
  for (const step of steps) {
    if (step !== '~') waiting.push(bytesOf(step));
    else {
      send();
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
  waiting.push(serialize.copyFail('over'), serialize.sync(), serialize.query('rollback'));
  waiting.push(serialize.query(`select 'the end of ${run}'`));
  send();
  let lost = false;
  try {
    for (;;) {
      const { type, bytes } = await client.next();
      if (type === 'E') lost ||= SERVERS_OWN.test(bytes.toString());
      if (type === 'D' && bytes.includes(`the end of ${run}`)) break;
    }
    expect((await client.until('Z')).bytes.toString('latin1', 5)).toBe('I');
  } catch (error) {
    if (!lost) throw error;
  }
  return lost;
}

async function gone(as: Caller, side: pg.Client): Promise<void> {
  for (;;) {
    const { rows } = await side.query(
      "select from pg_stat_activity where application_name like '%' || $1 || '.%'",
      [as],
    );
    if (rows.length === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

async function opened(): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: g.server.url('shop') });
  await client.connect();
  return client;
}

/** What does not fit; null: everything does. */
function wrong(
  { steps }: HeldSequence,
  requests: readonly ApprovalRequest[],
  entries: ReadonlyMap<number, number>,
  first: number,
  lost: boolean,
): string | null {
  const text = steps.join('\n');
  for (let i = 0; i < 50; i++) {
    const [mine, taken] = [first + i, first + 50 + i];
    for (const [number, happened] of [
      [mine, entries.get(mine) ?? 0],
      [taken, 1 - (entries.get(taken) ?? 0)],
    ] as const) {
      const speaks = new RegExp(`\\b${number}\\b`);
      // EXECUTE names what was prepared, not its numbers.
      const byName = steps.some((step) => /prepare a as/.test(step) && speaks.test(step));
      const of = requests.filter(
        ({ statement }) => speaks.test(statement.sql) || (byName && /\bexecute a\b/i.test(statement.sql)),
      );
      const may = of.filter(({ state }) => ['executed', 'failed', 'unknown'].includes(state));
      const approvals = may.filter(({ decisions }) => decisions.some(({ effect }) => effect === 'approve'));
      if (happened > approvals.length || happened < 0)
        return `${number} happened ${happened} times with ${of.map(({ id, state, statement }) => `${id} ${state} ${statement.sql}`).join('; ') || 'nobody asked'}`;
      const plain = of.filter(
        ({ state, statement }) =>
          state === 'executed' &&
          /^insert [^;]*$/.test(statement.sql) &&
          !/release|prepare transaction/.test(text),
      );
      if (number === mine && !lost && happened < plain.length)
        return `${number} happened ${happened} times, and is said to have ${plain.length} times: ${plain.map(({ id }) => id).join(' ')}`;
    }
  }
  return null;
}

it(
  `nothing that waits happens unapproved, or twice, in any sequence (${RUNS}, seed ${SEED})`,
  async () => {
    await Promise.all(
      LANES.map(async (as, lane) => {
        const side = await opened();
        await holdsAsync(
          fc.asyncProperty(heldSequences, async (sequence) => {
            const run = runs++;
            const first = (run + 1) * 100;
            const placed = {
              ...sequence,
              steps: sequence.steps.map((step) =>
                step
                  .replaceAll('@', String(lane))
                  .replace(/([#%])(\d+)\./g, (_, sign, n) =>
                    String(first + Number(n) + (sign === '%' ? 50 : 0)),
                  ),
              ),
            };
            const left = await side.query('select gid from pg_prepared_xacts where gid = $1', [`g${lane}`]);
            if (left.rows.length > 0) await side.query(`rollback prepared 'g${lane}'`);
            await side.query(`truncate ledger_${lane}; drop table if exists x_${lane};
              delete from t_${lane}; insert into t_${lane} select i, 'row ' || i from generate_series(1, 5) i;
              insert into ledger_${lane} select generate_series(${first + 50}, ${first + 99})`);
            const client = await g.connect(shop, as, {
              application_name: `${as}.`,
              'holdpoint.wait': sequence.wait,
            });
            const { requests, lost } = await play(client, placed, as, run, side);
            const { rows } = await side.query(
              `select id, count(*)::int as n from ledger_${lane} group by id`,
            );
            executed += requests.filter(({ state }) => state === 'executed').length;
            const found = wrong(placed, requests, new Map(rows.map(({ id, n }) => [id, n])), first, lost);
            expect(
              found,
              `${found}\n    wait ${sequence.wait}, ${sequence.answers}\n    ${reproduction(placed)}`,
            ).toBeNull();
            if (process.env['HP_RUNS'] && run % 500 === 0) console.log(`${run} of ${RUNS}, seed ${SEED}`);
          }),
          {
            numRuns: Math.ceil(RUNS / LANES.length),
            examples: SEEN,
            seed: SEED * LANES.length + lane,
            timeout: 60_000,
            seconds: 300 + RUNS,
          },
        );
        await side.end();
      }),
    );
    if (process.env['HP_RUNS']) console.log(`${approved} approved, ${executed} executed`);
    expect(executed).toBeGreaterThan(RUNS / 4);
  },
  2 ** 31 - 1,
);
