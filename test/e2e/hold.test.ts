/** Holds and decisions end to end: the started product, ordinary drivers as agents, an approver in the console, API and CLI (DESIGN.md 7–10, 13). */
import { spawn, spawnSync } from 'node:child_process';
import postgres from 'postgres';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { holdpoint, type Product, startProduct } from '../support/product.ts';
import { type Agent, type Approver, agentAt, approver, approverOf, outputOf, type Told } from './support.ts';

const NAMED = /^HP-[0-9A-Z]{4,5} /;
const hasPsql = spawnSync('psql', ['--version']).status === 0;

let product: Product;
let dana: Approver;
const agents: Agent[] = [];

beforeAll(async () => {
  product = await startProduct();
  dana = await approverOf(product);
});
afterEach(async () => {
  await Promise.all(agents.splice(0).map((agent) => agent.end()));
  await dana.denyAll();
});
afterAll(async () => {
  await product.stop();
  product.remove();
});

async function connect(url = product.agentUrl): Promise<Agent> {
  const agent = await agentAt(url);
  agents.push(agent);
  return agent;
}

/** A credential that Dana hands out: her own where no owner is named. */
async function minted(owner?: { readonly email: string; readonly name: string }) {
  const { status, body } = await dana.post('/credentials', {
    ...(owner === undefined ? {} : { owner }),
    agent: 'Cursor',
    groups: ['demo-agents'],
    ttlMs: 3_600_000,
  });
  expect(status).toBe(201);
  const { id = '', secret = '' } = body as { readonly id?: string; readonly secret?: string };
  const url = new URL(product.agentUrl);
  url.username = id;
  url.password = secret;
  return { id, agent: await connect(url.href) };
}

const asDana = () => ({ HOLDPOINT_TOKEN: dana.token, HOLDPOINT_CONSOLE_URL: product.console });
const orders = (agent: Agent, where = 'true'): Promise<string> =>
  agent.value(`SELECT count(*) FROM orders WHERE ${where}`);

describe('approved while the client waits', () => {
  it('resumes the held connection: rows and tag arrive, and the request tells the outcome', async () => {
    const agent = await connect();
    const told = agent.run('DELETE FROM orders WHERE id = $1 RETURNING id, status', [11]);
    const request = await dana.held(/id = \$1 RETURNING/);
    expect(request).toMatchObject({
      requester: { agent: 'Cursor', ownerId: 'alice@example.com' },
      target: { name: 'shop' },
      statement: { verb: 'DELETE', relations: ['public.orders'], binds: ['11'] },
      rules: ['deletes'],
    });
    expect((await dana.decide(request.id, 'approve')).body).toMatchObject({
      kind: 'settled',
      sentence: `${request.id} approved.`,
    });
    expect(await told).toMatchObject({ code: null, tag: 'DELETE 1', rows: [{ id: 11 }] });
    const done = await dana.reaches(request.id, 'executed');
    expect(done.outcome).toMatchObject({ code: null, rows: 1, tag: 'DELETE 1' });
    expect(await orders(agent, 'id = 11')).toBe('0');
  });

  it('gives the personal data that was asked for, and records none of it', async () => {
    const agent = await connect();
    const sql = 'SELECT name, email FROM customer_contacts ORDER BY email LIMIT 2';
    const told = agent.run(sql);
    const request = await dana.held(sql);
    expect(request.statement.taggedColumns).toEqual(['public.customers.email']);
    await dana.decide(request.id, 'approve');
    const { rows } = await told;
    expect(rows.length).toBe(2);
    await dana.reaches(request.id, 'executed');
    // The index of sessions is written once a second.
    await vi.waitFor(() => dana.get(`/sessions/${request.sessionId}`), { timeout: 5000 });
    const { out, err } = await holdpoint({ ...product, env: { ...product.env, ...asDana() } }, [
      'session',
      request.sessionId,
    ]);
    expect(err).toBe('');
    expect(out).toContain(sql);
    for (const { email } of rows as readonly { readonly email: string }[]) expect(out).not.toContain(email);
  });

  it('runs every statement of the string, once', async () => {
    const agent = await connect();
    const sql = 'DELETE FROM orders WHERE id = 28; SELECT count(*)::int AS n FROM orders WHERE id = 28';
    const told = agent.run(sql);
    const request = await dana.held(sql);
    expect(request.statement.statementCount).toBe(2);
    await dana.decide(request.id, 'approve');
    expect(await told).toMatchObject({ code: null, rows: [{ n: 0 }] });
    await dana.reaches(request.id, 'executed');
  });

  it('runs the newest attempt alone: the earlier one is told of it', async () => {
    const [first, second] = [await connect(), await connect()];
    const sql = 'DELETE FROM orders WHERE id = 29';
    const early = first.run(sql);
    const { id, version } = await dana.held(sql);
    const late = second.run(sql);
    expect(await early).toMatchObject({
      code: 'HP001',
      message: `${id} is awaited by a newer attempt of the same statement. Not run here. Look at that attempt's result; do not send it again meanwhile.`,
    });
    const joined = await dana.until(
      sql,
      (all) => all.length === 1 && (all[0]?.version ?? 0) > version && all[0],
    );
    await dana.decide(joined.id, 'approve');
    expect(await late).toMatchObject({ tag: 'DELETE 1' });
  });

  it.skipIf(!hasPsql)('resumes psql, decided with `holdpoint approve`', async () => {
    const psql = outputOf(
      spawn('psql', [product.agentUrl, '-XAtc', 'DELETE FROM orders WHERE id = 12 RETURNING id'], {
        env: { ...process.env, LC_ALL: 'C.UTF-8' },
      }),
    );
    const request = await dana.held(/id = 12 /);
    const { body } = await dana.post('/links', {});
    const { url } = body as { readonly url?: string };
    expect(await holdpoint(product, ['login', url ?? ''])).toMatchObject({ code: 0 });
    const { out } = await holdpoint(product, ['approve', request.id]);
    expect(out).toContain(`${request.id} approved.`);
    expect(await psql).toEqual({ code: 0, out: '12\nDELETE 1\n', err: '' });
    expect((await dana.reaches(request.id, 'executed')).decisions).toMatchObject([
      { approverName: 'Dana', surface: 'cli', effect: 'approve' },
    ]);
  });

  it('is decided in the console with its cookie and CSRF token, and not without', async () => {
    const agent = await connect();
    const told = agent.run('DELETE FROM orders WHERE id = 13');
    const request = await dana.held(/id = 13$/);
    const { body } = await dana.post('/links', {});
    const { url = '' } = body as { readonly url?: string };
    const form = (path: string, fields: Record<string, string>, cookie = '') =>
      fetch(`${product.console}${path}`, {
        method: 'POST',
        body: new URLSearchParams(fields),
        headers: { cookie, origin: product.console },
        redirect: 'manual',
      });
    const signedIn = await form('/login', { link: url.slice(url.lastIndexOf('/') + 1) });
    expect(signedIn.status).toBe(303);
    const cookie = signedIn.headers.get('set-cookie')?.split(';')[0] ?? '';
    const page = await (
      await fetch(`${product.console}/requests/${request.id}`, { headers: { cookie } })
    ).text();
    const csrf = /name="csrf" value="([^"]+)"/.exec(page)?.[1] ?? '';
    const decision = `/requests/${request.id}/decision`;
    expect((await form(decision, { effect: 'approve' }, cookie)).status).toBe(403);
    expect((await form(decision, { effect: 'approve', csrf })).status).toBe(401);
    expect((await dana.requestsFor(/id = 13$/))[0]?.state).toBe('pending');
    expect((await form(decision, { effect: 'approve', csrf }, cookie)).status).toBe(303);
    expect(await told).toMatchObject({ code: null, tag: 'DELETE 1' });
    expect((await dana.reaches(request.id, 'executed')).decisions[0]?.surface).toBe('console');
  });
});

describe('denied', () => {
  it('is an error that tells the model what to do, and the next query works', async () => {
    const agent = await connect();
    const before = await orders(agent);
    const told = agent.run('DELETE FROM orders WHERE true');
    const request = await dana.held('DELETE FROM orders WHERE true');
    await dana.decide(request.id, 'deny', 'too broad');
    expect(await told).toMatchObject({
      code: '42501',
      message: `${request.id} denied by Dana: too broad. Not run. Do not retry or work around it; tell the user.`,
    });
    expect(await orders(agent)).toBe(before);
  });

  it('leaves a transaction failed, as any error does', async () => {
    const agent = await connect();
    await agent.run('BEGIN');
    const told = agent.run('DELETE FROM orders WHERE id = $1', [14]);
    const request = await dana.held('DELETE FROM orders WHERE id = $1');
    await dana.decide(request.id, 'deny');
    expect(await told).toMatchObject({ code: '42501' });
    expect(await agent.run('SELECT 1')).toMatchObject({ code: '25P02' });
    expect(await agent.run('ROLLBACK')).toMatchObject({ code: null });
    expect(await orders(agent, 'id = 14')).toBe('1');
  });
});

describe('nobody decides in time', () => {
  it('answers HP001; after the approval the identical retry runs once, and a second one asks anew', async () => {
    const agent = await connect();
    await agent.run("SET holdpoint.wait = '0'");
    const sql = 'DELETE FROM orders WHERE id = 15';
    const first = await agent.run(sql);
    const [request] = await dana.requestsFor(sql);
    const id = request?.id ?? '';
    expect(first).toMatchObject({
      code: 'HP001',
      message: `${id} pending approval in the Holdpoint console: DELETE on orders (rule deletes). Not run. Resend exactly this statement in 60 s; do not rewrite it.`,
    });
    // A retry while it is pending joins.
    expect((await agent.run(sql)).message).toMatch(new RegExp(`^${id} pending`));
    await dana.decide(id, 'approve');
    expect((await dana.reaches(id, 'granted')).waiterLive).toBe(false);
    // Nothing runs by itself, and another constant is another statement.
    expect(await orders(agent, 'id = 15')).toBe('1');
    const other = await agent.run('DELETE FROM orders WHERE id = 16');
    expect(other).toMatchObject({ code: 'HP001' });
    expect(other.message).not.toContain(id);
    // White space and comments do not matter.
    expect(await agent.run('DELETE  FROM orders /* again */ WHERE id = 15')).toMatchObject({
      code: null,
      tag: 'DELETE 1',
    });
    await dana.reaches(id, 'executed');
    const second = await agent.run(sql);
    expect(second.code).toBe('HP001');
    expect(second.message).not.toContain(id);
    expect(await orders(agent, 'id IN (15, 16)')).toBe('1');
  });

  it('leaves a grant that nobody else can use', async () => {
    const agent = await connect();
    const { agent: other } = await minted({ email: 'carol@example.com', name: 'Carol' });
    const sql = 'DELETE FROM orders WHERE id = 30';
    for (const each of [agent, other]) await each.run("SET holdpoint.wait = '0'");
    await agent.run(sql);
    const [request] = await dana.requestsFor(sql);
    await dana.decide(request?.id ?? '', 'approve');
    const refused = await other.run(sql);
    expect(refused.code).toBe('HP001');
    expect(refused.message).not.toContain(request?.id);
    expect(await agent.run(sql)).toMatchObject({ tag: 'DELETE 1' });
  });

  it('makes no fourth request of one session: the error lists the open ones', async () => {
    const agent = await connect();
    await agent.run("SET holdpoint.wait = '0'");
    for (const table of ['products', 'order_items', 'orders'])
      expect((await agent.run(`TRUNCATE ${table}`)).code).toBe('HP001');
    const told = await agent.run('TRUNCATE customers');
    const open = await dana.requestsFor(/^TRUNCATE /);
    expect(told.code).toBe('42501');
    for (const { id } of open) expect(told.message).toContain(id);
    expect(open.length).toBe(3);
  });

  it('waits as long as the client asked for', async () => {
    const agent = await connect();
    await agent.run("SET holdpoint.wait = '1s'");
    const began = Date.now();
    expect(await agent.run('DELETE FROM orders WHERE id = 17')).toMatchObject({ code: 'HP001' });
    expect(Date.now() - began).toBeGreaterThanOrEqual(990);
    expect(Date.now() - began).toBeLessThan(4000);
  });

  it('converges with two held statements in one transaction', async () => {
    const agent = await connect();
    await agent.run("SET holdpoint.wait = '0'");
    const mine = /id = (18|19)$/;
    const attempt = async (): Promise<Told> => {
      await agent.run('BEGIN');
      for (const id of [18, 19]) {
        const told = await agent.run(`DELETE FROM orders WHERE id = ${id}`);
        if (told.code !== null) {
          expect(await agent.run('ROLLBACK')).toMatchObject({ code: null });
          return told;
        }
      }
      return await agent.run('COMMIT');
    };
    const approveAll = async (): Promise<void> => {
      const open = (await dana.requestsFor(mine)).filter((each) => each.state === 'pending');
      expect(open.length).toBe(1);
      for (const { id } of open) expect((await dana.decide(id, 'approve')).status).toBe(200);
    };
    expect(await attempt()).toMatchObject({ code: 'HP001' });
    await approveAll();
    // The first one's grant is used, and restored by the rollback that the second one forces.
    expect(await attempt()).toMatchObject({ code: 'HP001' });
    expect(await orders(agent, 'id IN (18, 19)')).toBe('2');
    await approveAll();
    expect(await attempt()).toMatchObject({ code: null, tag: 'COMMIT' });
    expect(await orders(agent, 'id IN (18, 19)')).toBe('0');
    const all = await dana.until(
      mine,
      (requests) => requests.every((each) => each.state === 'executed') && requests,
    );
    expect(all.length).toBe(2);
  });
});

describe('nobody waits any more', () => {
  it('withdraws the request when the client cancels, and the session goes on', async () => {
    const sql = postgres(product.agentUrl, {
      max: 1,
      onnotice: () => {},
      connection: { application_name: 'e2e' },
    });
    try {
      const query = sql.unsafe('DELETE FROM orders WHERE id = 20').execute();
      const settled = query.then(
        () => null,
        (error: { readonly code?: string; readonly message?: string }) => error,
      );
      const request = await dana.held(/id = 20$/);
      query.cancel();
      expect(await settled).toMatchObject({
        code: '57014',
        message: `${request.id} withdrawn: canceled by the client. Not run.`,
      });
      const ended = await dana.reaches(request.id, 'withdrawn');
      expect(ended.note).toBe('cancelled by the client');
      const late = await dana.decide(request.id, 'approve');
      expect(late.status).toBe(409);
      expect(late.body.sentence).toMatch(/was withdrawn at .* Nothing was run\.$/);
      expect(await sql`SELECT count(*)::int AS n FROM orders WHERE id = 20`).toEqual([{ n: 1 }]);
    } finally {
      await sql.end({ timeout: 1 });
    }
  });

  it('runs nothing on an approval after the client is gone: a grant waits for the retry', async () => {
    const gone = postgres(product.agentUrl, { max: 1 });
    const lost = gone
      .unsafe('DELETE FROM orders WHERE id = 21')
      .simple()
      .catch((error: { readonly code?: string }) => error.code);
    const request = await dana.held(/id = 21$/);
    await gone.end({ timeout: 0 });
    expect(await lost).toBe('CONNECTION_DESTROYED');
    await dana.until(/id = 21$/, ([one]) => one?.waiterLive === false);
    await dana.decide(request.id, 'approve');
    const granted = await dana.reaches(request.id, 'granted');
    expect(granted).toMatchObject({ waiterLive: false, outcome: null });
    const agent = await connect();
    expect(await orders(agent, 'id = 21')).toBe('1');
    expect(await agent.run('DELETE FROM orders WHERE id = 21')).toMatchObject({ tag: 'DELETE 1' });
    expect((await dana.reaches(request.id, 'executed')).outcome?.rows).toBe(1);
  });
});

describe('who may decide', () => {
  it('refuses the owner; a revoked credential withdraws its requests and ends its session', async () => {
    const { id, agent } = await minted();
    const told = agent.run('DELETE FROM orders WHERE id = 22');
    const request = await dana.held(/id = 22$/);
    for (const effect of ['approve', 'deny'] as const) {
      const refused = await dana.decide(request.id, effect);
      expect(refused.status).toBe(403);
      expect(refused.body.sentence).toBe(
        `${request.id} is your own request (Cursor for Dana). Somebody else must decide it.`,
      );
    }
    expect((await dana.post(`/credentials/${id}/revoke`, {})).status).toBe(200);
    expect(['42501', '28000']).toContain((await told).code);
    expect((await dana.reaches(request.id, 'withdrawn')).note).toContain('revoked');
    expect((await agent.run('SELECT 1')).code).not.toBe(null);
    expect(await orders(await connect(), 'id = 22')).toBe('1');
  });

  it('lets whoever minted the credential deny, but not approve', async () => {
    const { agent } = await minted({ email: 'bob@example.com', name: 'Bob' });
    const told = agent.run('DELETE FROM orders WHERE id = 27');
    const request = await dana.held(/id = 27$/);
    const refused = await dana.decide(request.id, 'approve');
    expect(refused).toMatchObject({ status: 403, body: { kind: 'refused' } });
    expect((await dana.decide(request.id, 'deny')).status).toBe(200);
    expect((await told).code).toBe('42501');
  });

  it('settles once when two decide at once, and tells the loser who won', async () => {
    const agent = await connect();
    const told = agent.run('DELETE FROM orders WHERE id = 23');
    const request = await dana.held(/id = 23$/);
    const results = await Promise.all([
      dana.decide(request.id, 'approve'),
      dana.decide(request.id, 'deny'),
      dana.decide(request.id, 'approve'),
    ]);
    expect(results.map((each) => each.status).sort()).toEqual([200, 409, 409]);
    const winner = results.find((each) => each.status === 200)?.body.request;
    for (const { status, body } of results)
      if (status === 409)
        expect(body.sentence).toMatch(
          new RegExp(`^Already ${winner?.state === 'denied' ? 'denied' : 'approved'} by Dana`),
        );
    expect((await told).code).toBe(winner?.state === 'denied' ? '42501' : null);
    const after = await dana.until(/id = 23$/, ([one]) => one?.endedAt !== null && one);
    expect(after.decisions.length).toBe(1);
  });

  it('takes no credential of an agent, wherever it is put', async () => {
    const agent = await connect();
    const told = agent.run('DELETE FROM orders WHERE id = 24');
    const request = await dana.held(/id = 24$/);
    const { username, password } = new URL(product.agentUrl);
    expect([username.slice(0, 5), password.slice(0, 4)]).toEqual(['cred_', 'hpc_']);
    for (const secret of [username, password, `${username}:${password}`]) {
      const answer = await approver(product, secret).decide(request.id, 'approve');
      expect(answer.status).toBe(401);
    }
    const tries: Record<string, string>[] = [
      {},
      { authorization: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}` },
      { cookie: `holdpoint=${password}` },
      { cookie: `holdpoint=${dana.token}` },
    ];
    for (const headers of tries) {
      const answer = await fetch(`${product.console}/api/requests/${request.id}/decision`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: JSON.stringify({ effect: 'approve' }),
      });
      expect(answer.status).toBe(401);
    }
    const cli = await holdpoint(
      {
        ...product,
        env: { ...product.env, HOLDPOINT_TOKEN: password, HOLDPOINT_CONSOLE_URL: product.console },
      },
      ['approve', request.id],
    );
    expect(cli.code).toBe(1);
    expect(cli.err).toContain('not an approver token');
    expect((await dana.requestsFor(/id = 24$/)).map((each) => each.state)).toEqual(['pending']);
    await dana.decide(request.id, 'deny');
    expect((await told).code).toBe('42501');
  });
});

describe('what is held', () => {
  it.each([
    { name: 'DROP', sql: 'DROP VIEW orders_summary', rule: 'ddl' },
    { name: 'CREATE', sql: 'CREATE TABLE mine (id int)', rule: 'ddl' },
    { name: 'CREATE TABLE AS', sql: 'CREATE TABLE mine AS SELECT 1', rule: 'ddl' },
    { name: 'ALTER', sql: 'ALTER TABLE orders ADD COLUMN note text', rule: 'ddl' },
    { name: 'DELETE', sql: 'DELETE FROM orders', rule: 'deletes' },
    { name: 'TRUNCATE', sql: 'TRUNCATE order_items', rule: 'deletes' },
    {
      name: 'DELETE in a CTE',
      sql: 'WITH gone AS (DELETE FROM orders RETURNING id) SELECT count(*) FROM gone',
      rule: 'deletes',
    },
    { name: 'a second statement in the string', sql: 'SELECT 1; DROP TABLE order_items', rule: 'ddl' },
    { name: 'EXPLAIN ANALYZE', sql: 'EXPLAIN ANALYZE DELETE FROM orders', rule: 'deletes' },
    { name: 'PREPARE and EXECUTE', sql: 'PREPARE d AS DELETE FROM orders; EXECUTE d', rule: 'deletes' },
    { name: 'DO', sql: 'DO $$ BEGIN DELETE FROM orders; END $$', rule: null },
    { name: 'UPDATE without WHERE', sql: "UPDATE orders SET status = 'open'", rule: 'update-without-where' },
    { name: 'PII', sql: 'SELECT ssn FROM customers', rule: 'pii' },
    { name: 'PII by *', sql: 'SELECT * FROM customers LIMIT 1', rule: 'pii' },
    { name: 'PII of the whole row', sql: 'SELECT c FROM customers c LIMIT 1', rule: 'pii' },
    { name: 'PII through a view', sql: 'SELECT email FROM customer_contacts', rule: 'pii' },
    { name: 'PII through COPY', sql: 'COPY customers TO STDOUT', rule: 'pii' },
  ])('$name waits, and nothing of it has happened', async ({ sql, rule }) => {
    const agent = await connect();
    const state = async (): Promise<string> =>
      await agent.value(
        `SELECT concat_ws(' ', (SELECT count(*) FROM orders), (SELECT count(*) FROM order_items),
           (SELECT count(*) FROM orders WHERE status = 'open'), (SELECT count(*) FROM orders_summary),
           to_regclass('mine'), (SELECT count(*) FROM pg_attribute WHERE attrelid = 'orders'::regclass))`,
      );
    const before = await state();
    await agent.run("SET holdpoint.wait = '0'");
    const told = await agent.run(sql);
    expect(told).toMatchObject({ code: 'HP001', rows: [] });
    expect(told.message).toMatch(NAMED);
    expect(told.message.length).toBeLessThan(300);
    const requests = (await dana.requestsFor(/^/)).filter((each) => each.state === 'pending');
    expect(requests.length).toBe(1);
    expect(requests[0]?.statement.sql).toContain(sql);
    if (rule !== null) expect(requests[0]?.rules).toContain(rule);
    expect(await state()).toBe(before);
    await dana.decide(requests[0]?.id ?? '', 'deny');
  });

  it('a typo gets the server’s own error, and no request', async () => {
    const agent = await connect();
    expect(await agent.run('DELETE FROM ordres')).toMatchObject({
      code: '42P01',
      message: 'relation "ordres" does not exist',
    });
    expect(await agent.run('DELETE FROM orders WHERE idd = $1', [1])).toMatchObject({
      code: '42703',
      message: 'column "idd" does not exist',
    });
    expect(await agent.run('DELET FROM orders')).toMatchObject({
      code: '42601',
      message: 'syntax error at or near "DELET"',
    });
    expect(await agent.run('DELETE FROM orders WHERE lowr(status) = $1', ['open'])).toMatchObject({
      code: '42883',
      message: 'function lowr(text) does not exist',
    });
    expect(await agent.run('UPDATE orders SET stat = status')).toMatchObject({ code: '42703' });
    expect(await agent.run('SELECT c.emial FROM customers c')).toMatchObject({ code: '42703' });
    expect(await agent.run('SELECT 1 AS one')).toMatchObject({ code: null, rows: [{ one: 1 }] });
    expect(await dana.requestsFor(/ordres|idd|DELET |lowr|stat =|emial/)).toEqual([]);
  });
});

describe('a restart of the product', () => {
  it('loses no request: approved afterwards, the retry runs', async () => {
    const first = await connect();
    await first.run("SET holdpoint.wait = '0'");
    const sql = 'DELETE FROM orders WHERE id = 25';
    expect(await first.run(sql)).toMatchObject({ code: 'HP001' });
    await first.end();
    expect(await product.stop()).toBe(0);
    product = await startProduct({ dataDir: product.dataDir });
    dana = approver(product, dana.token);
    const [request] = await dana.requestsFor(sql);
    expect(request).toMatchObject({ state: 'pending', waiterLive: false });
    expect((await dana.decide(request?.id ?? '', 'approve')).status).toBe(200);
    const second = await connect();
    expect(await orders(second, 'id = 25')).toBe('1');
    expect(await second.run(sql)).toMatchObject({ tag: 'DELETE 1' });
    await dana.reaches(request?.id ?? '', 'executed');
  });
});
