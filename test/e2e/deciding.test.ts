/** Who may decide, once, and what stays on disk afterwards: the product as it is installed, seen from outside. */
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { testPostgres } from '../support/postgres.ts';
import { holdpoint, type Product, scratch, startProduct } from '../support/product.ts';
import { type Approver, agentAt, approverOf, textOf } from './support.ts';

let product: Product;
let dana: Approver;
let eve: Approver;
beforeAll(async () => {
  const dataDir = scratch();
  writeFileSync(
    join(dataDir, 'holdpoint.yaml'),
    `identity:
  approvers:
    - { name: Dana, email: dana@example.com }
    - { name: Eve, email: Eve@Example.com }
`,
  );
  product = await startProduct({ dataDir });
  dana = await approverOf(product);
  eve = await approverOf({ ...product, link: linkOf(product, 'Eve') });
});
afterAll(async () => {
  await product?.stop();
  product?.remove();
});

function linkOf(at: Product, name: string): string {
  return new RegExp(`For ${name}:\\s+(\\S+)`).exec(at.output())?.[1] ?? '';
}

/** The console as a browser uses it: one-time link, cookie, forms with their CSRF token. */
async function signIn(at: Product, link: string) {
  const headers = { origin: at.console };
  const post = (path: string, fields: Record<string, string>, cookie = '') =>
    fetch(new URL(path, at.console), {
      method: 'POST',
      redirect: 'manual',
      headers: { ...headers, cookie },
      body: new URLSearchParams(fields),
    });
  const signedIn = await post('/login', { link: link.slice(link.lastIndexOf('/') + 1) });
  const cookie = signedIn.headers.get('set-cookie')?.split(';')[0] ?? '';
  const text = async (id: string) =>
    await (await fetch(`${at.console}/requests/${id}`, { headers: { cookie } })).text();
  return {
    text,
    async decide(id: string, effect: 'approve' | 'deny', more: Record<string, string> = {}) {
      const csrf = /name="csrf" value="([^"]+)"/.exec(await text(id))?.[1] ?? '';
      return (await post(`/requests/${id}/decision`, { effect, csrf, ...more }, cookie)).status;
    },
  };
}

const data = () => join(product.dataDir, 'data');

function asEve(args: readonly string[]) {
  const env = { ...product.env, HOLDPOINT_TOKEN: eve.token, HOLDPOINT_CONSOLE_URL: product.console };
  return holdpoint({ ...product, env }, args);
}

/** Paths of the regular files that hold the text, as bytes. `skip` names what is left out at the top. */
function filesWith(dir: string, text: string, skip: readonly string[] = []): string[] {
  return readdirSync(dir, { withFileTypes: true }).flatMap((entry) => {
    if (skip.includes(entry.name)) return [];
    const path = join(dir, entry.name);
    if (entry.isDirectory()) return filesWith(path, text);
    return entry.isFile() && readFileSync(path).includes(text) ? [path] : [];
  });
}

/** A credential of this owner, as `holdpoint credential mint` makes it. */
async function urlOf(email: string): Promise<string> {
  const { body } = await dana.post('/credentials', {
    owner: { email },
    agent: 'Cursor',
    groups: ['demo-agents'],
    ttlMs: 600_000,
  });
  const [id, secret] = [textOf(body, 'id'), textOf(body, 'secret')];
  const url = new URL(product.agentUrl);
  url.username = id;
  url.password = secret;
  return url.href;
}

test('who has only the agent’s connection URL can ask, not decide', async () => {
  const { username, password } = new URL(product.agentUrl);
  let tried = 0;
  for (const secret of [username, password, product.link.split('/').at(-1) ?? '']) {
    for (const headers of [
      { authorization: `Bearer ${secret}` },
      { cookie: `holdpoint=${secret}` },
      { authorization: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}` },
    ] as Record<string, string>[]) {
      for (const path of ['/api/me', '/api/requests', '/api/events', '/api/sessions', '/api/policy', '/']) {
        const answer = await fetch(product.console + path, { headers });
        // After twenty wrong ones the address is asked to wait; neither lets anybody in.
        tried += 1;
        expect(tried <= 20 ? [401] : [401, 429], path).toContain(answer.status);
        expect(await answer.text()).not.toContain(secret);
      }
    }
  }
  const pending = await holdpoint(product, ['pending']);
  expect(pending).toMatchObject({ code: 1, out: '' });
  expect(pending.err).toContain('You are not logged in');
  const env = { ...product.env, HOLDPOINT_TOKEN: password, HOLDPOINT_CONSOLE_URL: product.console };
  const approve = await holdpoint({ ...product, env }, ['approve', 'HP-AAAA']);
  expect(approve.code).toBe(1);
  expect(approve.err).toContain('not an approver token');
  expect(approve.err).not.toContain(password);
  expect((await holdpoint(product, ['approve'])).code).toBe(2);
});

test('a spent link opens nothing, and the token of the command line is its user’s alone', async () => {
  const again = await holdpoint(product, ['login', product.link]);
  expect(again.code).toBe(1);
  // Or, after the many wrong ones above, that there were too many.
  expect(again.err).toMatch(/wrong, used or older|is wrong, and/);
  const { body } = await dana.post('/links', {});
  const login = await holdpoint(product, ['login', textOf(body, 'url')]);
  expect(login).toMatchObject({ code: 0, err: '' });
  const file = join(product.env['XDG_CONFIG_HOME'] ?? '', 'holdpoint', 'token');
  expect(statSync(file).mode & 0o777).toBe(0o600);
  const { token } = JSON.parse(readFileSync(file, 'utf8')) as { token: string };
  expect(login.out).not.toContain(token);
  expect(filesWith(data(), token)).toEqual([]);
});

test('an owner does not decide, whatever the spelling of the address', async () => {
  const agent = await agentAt(await urlOf('DANA@Example.COM'));
  await agent.run("SET holdpoint.wait = '0'");
  const sql = 'DELETE FROM orders WHERE id = 900001';
  expect((await agent.run(sql)).code).toBe('HP001');
  const [request] = await dana.requestsFor(sql);
  await expect(dana.decide(request?.id ?? '', 'approve')).resolves.toMatchObject({ status: 403 });
  expect((await dana.requestsFor(sql))[0]).toMatchObject({ state: 'pending', decisions: [] });
  await agent.end();
});

test('of sixty decisions at once one settles; sixty statements are settled each by its own', async () => {
  const agents = await Promise.all(
    Array.from({ length: 60 }, async (_, i) => agentAt(await urlOf(`agent${i}@example.com`))),
  );
  const sqlOf = (i: number) => `DELETE FROM orders WHERE id = ${910_000 + i}`;
  const early: string[] = [];
  const told = agents.map(async (agent, i) => {
    const answer = await agent.run(sqlOf(i));
    early.push(`${i}: ${answer.code} ${answer.message} ${answer.tag}`);
    return answer;
  });
  const held = await dana
    .until(/WHERE id = 9100/, (some) => some.filter((each) => each.waiterLive).length === 60 && some)
    .catch((error: unknown) => {
      throw new Error(`agents were told early: ${early.join(' | ')}`, { cause: error });
    });
  const first = held[0]?.id ?? '';
  const race = await Promise.all(Array.from({ length: 60 }, () => eve.decide(first, 'approve')));
  expect(race.filter(({ status }) => status === 200)).toHaveLength(1);
  expect(race.filter(({ status }) => status === 409)).toHaveLength(59);
  const rest = await Promise.all(held.slice(1).map(({ id }) => eve.decide(id, 'approve')));
  expect(rest.every(({ status }) => status === 200)).toBe(true);
  for (const answer of await Promise.all(told)) expect(answer).toMatchObject({ code: null, tag: 'DELETE 0' });
  for (const { id } of held) await dana.reaches(id, 'executed');
  await Promise.all(agents.map((agent) => agent.end()));
});

test('where two must agree, one person counts once on however many surfaces, and the second runs it', async () => {
  const target = await testPostgres();
  await target.query(
    'postgres',
    "CREATE ROLE app LOGIN PASSWORD 'app'; CREATE TABLE t AS SELECT 1 AS a; GRANT ALL ON t TO app",
  );
  const dataDir = scratch();
  const rule = 'name: two, match: { classes: [delete] }, effect: hold, approvers: { quorum: 2 }';
  writeFileSync(join(dataDir, 'policy.yaml'), `version: 1\nrules: [{ ${rule} }]\n`);
  writeFileSync(
    join(dataDir, 'holdpoint.yaml'),
    `policy: policy.yaml
targets: { app: { url: "${target.url('postgres', { user: 'app', password: 'app' })}" } }
identity:
  levels: { devs: read-write }
  approvers:
    - { name: Max, email: max@example.com }
    - { name: Dana, email: dana@example.com }
    - { name: Eve, email: eve@example.com }
`,
  );
  const two = await startProduct({ dataDir });
  try {
    // Whoever mints a credential does not approve what it asks for.
    const max = await approverOf(two);
    const [one, other] = [
      await approverOf({ ...two, link: linkOf(two, 'Dana') }),
      await approverOf({ ...two, link: linkOf(two, 'Eve') }),
    ];
    const { body } = await max.post('/credentials', {
      owner: { email: 'alice@example.com' },
      agent: 'Cursor',
      groups: ['devs'],
      ttlMs: 600_000,
    });
    const at = /gateway (\S+),/.exec(two.output())?.[1] ?? '';
    const agent = await agentAt(`postgres://${textOf(body, 'id')}:${textOf(body, 'secret')}@${at}/app`);
    const told = agent.run('DELETE FROM t');
    const { id } = await one.held('DELETE FROM t');
    const cli = (token: string, ...effect: readonly string[]) =>
      holdpoint({ ...two, env: { ...two.env, HOLDPOINT_TOKEN: token, HOLDPOINT_CONSOLE_URL: two.console } }, [
        ...effect,
        id,
      ]);
    const page = await signIn(two, textOf((await other.post('/links', {})).body, 'url'));
    // Every row: asked once more.
    expect(await page.decide(id, 'approve')).toBe(200);
    expect(await page.decide(id, 'approve', { confirmed: id })).toBe(303);
    const [request] = await one.requestsFor('DELETE FROM t');
    expect(request).toMatchObject({ state: 'pending', waiterLive: true });
    expect(request?.decisions).toMatchObject([{ approverName: 'Eve', surface: 'console' }]);
    expect(await page.text(id)).toContain('1 of 2');
    const again = await cli(other.token, 'approve', '--yes');
    expect(again).toMatchObject({ code: 1, out: '' });
    expect(again.err).toMatch(/already/i);
    expect((await one.requestsFor('DELETE FROM t'))[0]?.decisions).toHaveLength(1);
    expect((await target.query('postgres', 'SELECT FROM t')).rowCount).toBe(1);
    const second = await cli(one.token, 'approve', '--yes');
    expect(second).toMatchObject({ code: 0, err: '' });
    expect(await told).toMatchObject({ code: null, tag: 'DELETE 1' });
    const done = await one.reaches(id, 'executed');
    expect(done.decisions).toMatchObject([{ surface: 'console' }, { surface: 'cli' }]);
    await agent.end();
  } finally {
    await two.stop();
    two.remove();
    await target.stop();
  }
});

test('what is recorded is complete and holds no personal data, no secret, and an edit shows', async () => {
  const agent = await agentAt(product.agentUrl);
  const [{ email, ssn }] = (await (async () => {
    const sql = 'SELECT email, ssn FROM customers WHERE id = 77';
    const told = agent.run(sql);
    const { id } = await eve.held(sql);
    await eve.decide(id, 'approve');
    return (await told).rows;
  })()) as [{ email: string; ssn: string }];
  expect(email).toContain('@example.com');
  const insert = 'INSERT INTO customers (name, email, ssn, credit_card) VALUES';
  const literals = await agent.run(
    `${insert} ('L', 'lit.zq81@private.test', '977-31-4159', '0000 2718 2818 2845')`,
  );
  const binds = await agent.run(`${insert} ('B', $1, $2, $3)`, [
    'bind.zq82@private.test',
    '977-14-1421',
    '0000 1618 0339 8874',
  ]);
  expect([literals, binds]).toMatchObject([{ tag: 'INSERT 1' }, { tag: 'INSERT 1' }]);
  const twice = await agent.run(`${insert} ('E', 'bind.zq82@private.test', '977-00-0001', '0000 1')`);
  expect(twice.code).toBe('23505');
  await agent.run("SELECT * FROM orders WHERE status = 'x' AND id = 1/0");
  await agent.run('SELECT nonesuch FROM orders');
  await agent.run("SET role = 'shop_owner'");
  await agent.run("SET holdpoint.wait = '0'");
  await agent.run("ALTER ROLE shop_readonly PASSWORD 'pw-zq83-secret'");
  await agent.run('RESET holdpoint.wait');
  const denied = 'DROP TABLE order_items';
  const told = agent.run(denied);
  await eve.decide((await eve.held(denied)).id, 'deny', 'not today');
  expect((await told).code).toBe('42501');

  // The index follows the recording within a second.
  const listed = () => eve.get<{ sessions: { id: string; ownerId: string }[] }>('/sessions?owner=alice');
  await expect.poll(async () => (await listed()).sessions.length).toBeGreaterThan(0);
  const { sessions } = await listed();
  const id = sessions[0]?.id ?? '';
  type Event = { kind: string; n?: number; sql?: string; effect?: string; error?: { code: string } | null };
  const { events } = await eve.get<{ events: Event[] }>(`/sessions/${id}`);
  const statements = events.filter((each) => each.kind === 'statement');
  expect(statements.map((each) => each.n)).toEqual(statements.map((_, i) => i + 1));
  expect(new Set(statements.map((each) => each.effect))).toEqual(new Set(['hold', 'allow', 'deny']));
  // Each statement has what came of it.
  for (const { n, sql } of statements)
    expect(
      events.some((each) => each.kind === 'result' && each.n === n),
      sql,
    ).toBe(true);
  const codes = events.flatMap((each) => (each.error ? [each.error.code] : []));
  for (const code of ['23505', '42703', '42501']) expect(codes).toContain(code);
  await agent.end();

  await expect(asEve(['verify', id])).resolves.toMatchObject({ code: 0 });
  const agentSecret = decodeURIComponent(new URL(product.agentUrl).password);
  await product.stop();
  const values = [email, ssn, 'zq81', '977-31-4159', '2718 2818', 'zq82', '977-14-1421', '1618 0339', 'zq83'];
  for (const value of values) expect(filesWith(data(), value, ['shop']), value).toEqual([]);
  expect(filesWith(data(), agentSecret)).toEqual([join(data(), 'demo-agent.url')]);
  for (const name of readdirSync(data()).filter((each) => each.endsWith('.secret'))) {
    const secret = readFileSync(join(data(), name), 'utf8').trim();
    expect(statSync(join(data(), name)).mode & 0o777).toBe(0o600);
    expect(
      filesWith(data(), secret).filter((path) => !path.endsWith('.secret')),
      name,
    ).toEqual([]);
  }
  for (const value of [...values, agentSecret])
    expect(product.output().replaceAll(product.agentUrl, '')).not.toContain(value);

  const [file] = filesWith(join(data(), 'recordings'), 'DROP TABLE order_items');
  writeFileSync(
    file ?? '',
    readFileSync(file ?? '', 'utf8').replace('DROP TABLE order_items', 'DROP TABLE order_itemz'),
  );
  product = await startProduct({ dataDir: product.dataDir });
  const checked = await asEve(['verify', id]);
  expect(checked.code).toBe(1);
  expect(checked.out).toMatch(/BROKEN at line \d+: the hash does not fit/);
});
