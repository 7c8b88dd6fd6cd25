/**
 * Fifty approvers decide one request at once, through Slack, the console, the API and the command line: one settles it, and everybody else is told who.
 * `node test/suites/approvers.mjs --rounds 1000` has more of them.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { holdpoint, type Product } from '../support/product.ts';
import { body, buttonsOf, cardsOf, type Ground, ground, insert } from './ground.ts';
import { type Agent, type Approver, agentAt } from './support.ts';

const ROUNDS = Number(process.env['HP_ROUNDS'] ?? 20);
const MINE = 50;
const names = Array.from({ length: MINE }, (_, at) => `A${at}`);

let here: Ground;
let product: Product;
/** They take turns: the next card is on its way while one is decided. */
const agents: Agent[] = [];
/** By surface: what each says, and what they are told. */
const taps: ((ts: string, effect: Effect) => Promise<unknown>)[] = [];
const calls: ((id: string, effect: Effect) => Promise<{ won: boolean; told: string }>)[] = [];
let api: Approver;
type Effect = 'approve' | 'deny';

beforeAll(async () => {
  here = await ground(['Minter', ...names]);
  product = await here.start();
  const url = await here.mint(product, await here.approver(product, 'Minter'));
  agents.push(await agentAt(url), await agentAt(url));
  const people = await Promise.all(names.slice(17).map((name) => here.approver(product, name)));
  for (const [at, name] of names.slice(0, 17).entries()) {
    const user = `UA${at}`;
    await here.slack.user({
      id: user,
      profile: { email: `${name.toLowerCase()}@example.com`, real_name: name },
    }); // prettier-ignore
    taps.push((ts, effect) =>
      here.slack.tap({
        ts,
        user,
        ...(effect === 'approve' ? { action: 'hp_approve' } : { action: 'hp_deny', option: 'too-broad' }),
      }),
    );
  }
  for (const [at, person] of people.entries()) {
    api ??= person;
    if (at % 2 === 0) calls.push((id, effect) => viaApi(person.token, id, effect));
    else {
      const cookie = await signIn(person);
      calls.push((id, effect) => viaForm(cookie, id, effect));
    }
  }
});
afterAll(async () => {
  await Promise.all(agents.map((agent) => agent.end()));
  await product?.stop();
  product?.remove();
  await here?.stop();
});

/** As the command line asks. */
async function viaApi(token: string, id: string, effect: Effect) {
  const headers = {
    authorization: `Bearer ${token}`,
    'content-type': 'application/json',
    'x-holdpoint-client': 'cli',
  }; // prettier-ignore
  const url = `${product.console}/api/requests/${id}/decision`;
  const answer = await fetch(url, { method: 'POST', headers, body: JSON.stringify({ effect }) });
  const { sentence }: { sentence?: string } = JSON.parse(await answer.text());
  return { won: answer.status === 200, told: sentence ?? '' };
}
/** As a browser does: a link of one's own, a cookie, the form with its token. */
async function signIn(person: Approver): Promise<{ cookie: string; csrf: string }> {
  const { body: link } = await person.post('/links', {});
  const secret = String(Reflect.get(link, 'url')).split('/').at(-1) ?? '';
  const answer = await fetch(`${product.console}/login`, {
    method: 'POST',
    redirect: 'manual',
    headers: { origin: product.console },
    body: new URLSearchParams({ link: secret }),
  });
  const cookie = answer.headers.get('set-cookie')?.split(';')[0] ?? '';
  const page = await (await fetch(`${product.console}/`, { headers: { cookie } })).text();
  return { cookie, csrf: /name="csrf" value="([^"]+)"/.exec(page)?.[1] ?? '' };
}
async function viaForm({ cookie, csrf }: { cookie: string; csrf: string }, id: string, effect: Effect) {
  const answer = await fetch(`${product.console}/requests/${id}/decision`, {
    method: 'POST',
    redirect: 'manual',
    headers: { origin: product.console, cookie },
    body: new URLSearchParams({ effect, csrf }),
  });
  expect(answer.status).toBe(303);
  const page = await fetch(`${product.console}/requests/${id}`, { headers: { cookie } });
  const told = (await page.text()).replace(/<[^>]*>/g, ' ');
  return { won: told.includes(effect === 'approve' ? `${id} approved.` : `${id} denied.`), told };
}
/** The process itself. */
async function viaCli(token: string, id: string, effect: Effect) {
  const env = { ...product.env, HOLDPOINT_TOKEN: token, HOLDPOINT_CONSOLE_URL: product.console };
  const { code, out, err } = await holdpoint({ ...product, env }, [effect, id]);
  return { won: code === 0, told: out + err };
}

/** The request of this round, and its card. */
async function asked(round: number) {
  const sql = insert(`round ${round}`);
  const told = agents[round % 2]?.run(sql);
  const { id } = await api.held(sql);
  return { told, id, card: await here.slack.until((state) => cardsOf(state, id)[0], 60_000) };
}

it(
  `one of ${MINE} at once settles it, ${ROUNDS} times`,
  async () => {
    const wins = { slack: 0, elsewhere: 0 };
    let next = asked(0);
    const ends = new Map<string, string>();
    for (let round = 0; round < ROUNDS; round += 1) {
      const { told, id, card } = await next;
      if (round + 1 < ROUNDS) next = asked(round + 1);
      const before = (await here.slack.state()).ephemerals.length;
      const effect = (at: number): Effect => ((at + round) % 3 === 0 ? 'deny' : 'approve');
      const processes = round === 0 ? [viaCli(api.token, id, 'approve'), viaCli(api.token, id, 'deny')] : [];
      const [answers] = await Promise.all([
        Promise.all([...calls.map((call, at) => call(id, effect(at))), ...processes]),
        Promise.all(taps.map((tap, at) => tap(card.ts, effect(at + 1)))),
      ]);
      const won = answers.filter((answer) => answer.won);
      expect(won.length, id).toBeLessThanOrEqual(1);
      const inSlack = taps.length - (won.length === 0 ? 1 : 0);
      const { ephemerals } = await here.slack.until(
        (state) => state.ephemerals.length >= before + inSlack && state,
        60_000,
      );
      const request = await api.get<{
        request: { state: string; decisions: { approverName: string; effect: string }[] };
      }>(`/requests/${id}`); // prettier-ignore
      const { decisions } = request.request;
      expect(decisions.length).toBe(1);
      const [winner] = decisions;
      const yes = winner?.effect === 'approve';
      const sentence = `Already ${yes ? 'approved' : 'denied'} by ${winner?.approverName}`;
      const losers = [
        ...answers.filter((answer) => !answer.won).map((answer) => answer.told),
        ...ephemerals.slice(before).map(({ text }) => text),
      ];
      expect(losers.length).toBe(answers.length + taps.length - 1);
      for (const loser of losers) expect(loser).toContain(sentence);
      expect(await told).toMatchObject({ code: yes ? null : '42501' });
      expect(await here.ran(`round ${round}`)).toBe(yes ? 1 : 0);
      wins[won.length === 0 ? 'slack' : 'elsewhere'] += 1;
      ends.set(id, yes ? 'Executed: 1 row in ' : 'Denied. Not run');
      if (ends.size < 50 && round + 1 < ROUNDS) continue;
      // Slack takes fifty updates a minute.
      await here.slack.until(
        (state) =>
          [...ends].every(([one, end]) => {
            const [card, ...others] = cardsOf(state, one);
            return card && others.length === 0 && body(card).includes(end) && buttonsOf(card).length === 0;
          }),
        120_000,
      );
      ends.clear();
      await here.slack.forget();
      if (process.env['HP_ROUNDS']) console.log(`${round + 1} of ${ROUNDS}`, wins);
    }
    expect((await here.slack.state()).faults).toEqual([]);
  },
  2 ** 31 - 1,
);
