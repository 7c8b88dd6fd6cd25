import { chmodSync, existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { run } from '../../src/cli/program.ts';
import { table } from '../../src/cli/text.ts';
import { aRequest, aSession, DANA, memorySessions, T0 } from '../console/fakes.ts';
import { startConsole } from '../console/harness.ts';

let h: Awaited<ReturnType<typeof startConsole>>;
let home: string;
beforeEach(async () => {
  h = await startConsole();
  home = mkdtempSync(join(tmpdir(), 'holdpoint-cli-'));
});
afterEach(async () => {
  await h.server.close();
  rmSync(home, { recursive: true });
});

async function holdpoint(args: readonly string[], env: NodeJS.ProcessEnv = {}, stdin = '') {
  let [out, err] = ['', ''];
  const code = await run(
    args,
    {
      env: { XDG_CONFIG_HOME: home, ...env },
      cwd: home,
      stdin: (async function* () {
        yield stdin;
      })(),
      out: (text) => {
        out += `${text}\n`;
      },
      err: (text) => {
        err += `${text}\n`;
      },
      now: () => T0,
    },
    '0.0.0',
  );
  return { code, out, err };
}
const login = async () => holdpoint(['login', `${h.base}/login/${await h.access.mintLink(DANA.id)}`]);

describe('login', () => {
  test('trades the link for a token that only the user can read', async () => {
    const done = await login();
    expect(done).toMatchObject({ code: 0, err: '' });
    expect(done.out).toContain('Dana');
    expect(done.out).not.toContain('hpa_');
    expect(statSync(join(home, 'holdpoint/token')).mode & 0o777).toBe(0o600);
  });

  test('refuses a used link, and a console in the clear over a network', async () => {
    const link = `${h.base}/login/${await h.access.mintLink(DANA.id)}`;
    await holdpoint(['login', link]);
    expect(await holdpoint(['login', link])).toMatchObject({
      code: 1,
      err: expect.stringMatching(/wrong, used or older/),
    });
    expect(await holdpoint(['login', `http://192.0.2.1/login/hpl_${'a'.repeat(43)}`])).toMatchObject({
      code: 1,
      err: expect.stringMatching(/https/),
    });
    expect(await holdpoint(['login', 'nonsense'])).toMatchObject({ code: 1 });
  });

  test('no agent credential passes for a token', async () => {
    for (const secret of [
      'cred_0123456789abcdef01234567',
      `hpc_${'a'.repeat(43)}`,
      'eyJhbGciOi.x.y',
      'hpa_short',
    ]) {
      const done = await holdpoint(['approve', 'HP-7Q2F'], {
        HOLDPOINT_TOKEN: secret,
        HOLDPOINT_CONSOLE_URL: h.base,
      });
      expect(done.code).toBe(1);
      expect(done.err).toMatch(/approver token/);
      expect(done.err).not.toContain(secret);
    }
    expect(h.desk.asked).toEqual([]);
  });

  test('a token file that others can read is not used', async () => {
    await login();
    chmodSync(join(home, 'holdpoint/token'), 0o644);
    expect(await holdpoint(['pending'])).toMatchObject({ code: 1, err: expect.stringMatching(/chmod 600/) });
  });

  test('without a login every command says what to do', async () => {
    for (const args of [
      ['pending'],
      ['show', 'HP-7Q2F'],
      ['sessions'],
      ['verify', 'ses_1'],
      ['credential', 'mint'],
    ]) {
      expect(await holdpoint(args)).toMatchObject({
        code: 1,
        err: expect.stringMatching(/holdpoint login LINK/),
      });
    }
  });
});

describe('deciding', () => {
  beforeEach(async () => {
    await login();
  });

  test('approve asks for --yes where Slack asks once more', async () => {
    const [request] = await h.desk.list({});
    if (request === undefined) throw new Error('no request');
    h.desk.put({ ...request, statement: { ...request.statement, class: 'ddl' } });
    const first = await holdpoint(['approve', 'HP-7Q2F']);
    expect([first.code, first.err]).toEqual([1, expect.stringContaining('approve --yes HP-7Q2F')]);
    expect(first.out).toContain('DELETE FROM orders');
    expect(h.desk.asked).toEqual([]);
    expect(await holdpoint(['approve', '--yes', 'HP-7Q2F'])).toMatchObject({ code: 0 });
    expect(h.desk.asked).toHaveLength(1);
  });

  test('pending lists, show is in full, approve settles as the command line', async () => {
    expect((await holdpoint(['pending'])).out).toMatch(/HP-7Q2F .*Cursor for Alice .*shop \(demo\)/);
    expect((await holdpoint(['show', 'hp-7q2f'])).out).toContain('    DELETE FROM orders WHERE id = 7');
    expect(await holdpoint(['approve', 'HP-7Q2F'])).toMatchObject({
      code: 0,
      out: expect.stringContaining('HP-7Q2F approved.'),
    });
    expect(h.desk.asked[0]).toMatchObject({
      effect: 'approve',
      reason: null,
      approver: { id: DANA.id, surface: 'cli' },
    });
    expect((await holdpoint(['pending'])).out).toBe('Nothing is waiting.\n');
  });

  test('deny carries its words; a second decision fails with who was first', async () => {
    expect((await holdpoint(['deny', 'HP-7Q2F', 'too', 'broad'])).code).toBe(0);
    expect(h.desk.asked[0]).toMatchObject({ effect: 'deny', reason: 'too broad' });
    expect(await holdpoint(['approve', 'HP-7Q2F'])).toMatchObject({
      code: 1,
      err: expect.stringMatching(/Already/),
    });
  });

  test('escape sequences in SQL do not reach the terminal', async () => {
    h.desk.put(aRequest({}, 'DELETE FROM t -- \u001b[2J\u202e'));
    for (const args of [['pending'], ['show', 'HP-7Q2F']]) {
      const { out } = await holdpoint(args);
      expect(out).toContain('DELETE FROM t');
      for (const char of ['\u001b', '\u202e']) expect(out).not.toContain(char);
    }
  });

  test('what a client chose begins no line of its own, and no letter passes for another', async () => {
    const own = aRequest({}, "DELETE FROM t WHERE state = 'оpen'");
    const fake = 'x\nwhy           harmless';
    h.desk.put({ ...own, statement: { ...own.statement, binds: [fake], relations: [fake], verb: fake } });
    const { out } = await holdpoint(['show', 'HP-7Q2F']);
    expect(out).not.toMatch(/^\s*why {11}harmless/m);
    expect(out).toContain('\\u{43e}pen');
  });

  test('nor what others are called: names of owners and agents, of sessions and in decisions', async () => {
    const name = 'Al\u001b[2Jice\nHP-7Q2F  approved\u202e';
    await h.server.close();
    h = await startConsole({
      sessions: memorySessions([aSession({ ownerName: name, agent: name, target: name })]),
    });
    await login();
    const own = aRequest();
    const requester = { ...own.requester, ownerName: name, agent: name, ownerEmail: name };
    h.desk.put({
      ...own,
      requester,
      target: { ...own.target, name },
      rules: [name],
      reason: name,
      purpose: name,
    });
    const all = await Promise.all(
      [['pending'], ['show', 'HP-7Q2F'], ['sessions'], ['session', 'ses_1']].map((args) => holdpoint(args)),
    );
    for (const { out, err } of all) {
      expect(out + err).not.toMatch(/[\p{Cf}]|(?!\n)\p{Cc}|^HP-7Q2F {2}approved/mu);
      expect(out).toContain('Al\\u{1b}');
    }
  });

  test('sessions, session and verify print what the record has', async () => {
    expect((await holdpoint(['sessions', '@alice', '--since', '7d'])).out).toContain('ses_1');
    expect((await holdpoint(['sessions', 'bob'])).out).toBe('No sessions.\n');
    const { out } = await holdpoint(['session', 'ses_1']);
    for (const text of ['129.90', 'rows not kept', 'HP-3KD9 approved by Dana', 'ERROR 42501'])
      expect(out).toContain(text);
    expect(out).toContain('would hold: tried');
    expect(out).toContain('Observed, not enforced: tried would have stopped 1 statement.');
    expect((await holdpoint(['verify', 'ses_1'])).out).toMatch(/intact/);
    expect(await holdpoint(['verify', 'none'])).toMatchObject({ code: 1 });
    expect(out).not.toMatch(/0\.0 ms|\b1 rows/);
    expect(await holdpoint(['sessions', '--since', 'soon'])).toMatchObject({ code: 2 });
  });

  test('alerts are listed, and suspended for', async () => {
    expect((await holdpoint(['alerts'])).out).toBe('No alerts.\n');
    await h.server.close();
    const burst = {
      ...{ id: 'AL-0123456789abcdef', requester: aRequest().requester, count: 5, since: T0, at: T0 },
      lines: ['DELETE public.orders on demo/shop: held as HP-7Q2F'],
    };
    h = await startConsole({ bursts: { recent: async () => [burst], suspend: async () => burst } });
    await login();
    const { out } = await holdpoint(['alerts']);
    expect(out).toContain('AL-0123456789abcdef');
    expect(out).toContain('Cursor for Alice: 5 destructive statements in a minute');
    expect((await holdpoint(['suspend', burst.id])).out).toContain('Cursor for Alice is suspended');
    expect(await holdpoint(['suspend', 'AL-7'])).toMatchObject({
      code: 1,
      err: expect.stringContaining('no such alert'),
    });
  });

  test('a credential is minted with its connection URL and revoked', async () => {
    const { out } = await holdpoint([
      'credential',
      'mint',
      '--owner',
      'alice@example.com',
      '--agent',
      'Cursor',
      '--group',
      'dev',
      '--ttl',
      '2h',
    ]);
    expect(out).toContain('postgres://cred_00112233445566778899aabb:hpc_secret@HOST:7432/TARGET');
    expect(h.minted[0]).toMatchObject({ agent: 'Cursor', groups: ['dev'], ttlMs: 7_200_000 });
    expect((await holdpoint(['credential', 'revoke', 'cred_00112233445566778899aabb'])).code).toBe(0);
  });

  test('a person is suspended and may come back, once each', async () => {
    const suspend = await holdpoint(['suspend', 'mallory@example.com']);
    expect([suspend.code, suspend.out]).toEqual([0, expect.stringContaining('is suspended')]);
    expect((await holdpoint(['suspend', 'mallory@example.com'])).err).toContain('suspended already');
    expect((await holdpoint(['resume', 'mallory@example.com'])).out).toContain('may log in again');
    expect((await holdpoint(['resume', 'mallory@example.com'])).code).toBe(1);
  });

  test('policy explain --target answers each line in order', async () => {
    const input = '{"sql":"DELETE FROM t"}\nnot json\n{"sql":"x"}\n';
    const { out } = await holdpoint(['policy', 'explain', '--jsonl', '--target', 'shop'], {}, input);
    const lines = out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines.map((line) => line.reason ?? 'error')).toEqual(['DELETE FROM t', 'error', 'x']);
    expect((await holdpoint(['policy', 'explain', '--target', 'none'], {}, 'SELECT 1')).code).toBe(1);
  });
});

describe('policy', () => {
  test('check prints every mistake with its place', async () => {
    writeFileSync(
      join(home, 'bad.yaml'),
      'version: 1\nrules:\n  - name: a\n    match: { classes: [deletes] }\n    effect: maybe\n',
    );
    const done = await holdpoint(['policy', 'check', 'bad.yaml']);
    expect(done.code).toBe(1);
    expect(done.err).toMatch(/bad\.yaml:4:\d+/);
    expect(done.err).toMatch(/bad\.yaml:5:\d+/);
    writeFileSync(join(home, 'good.yaml'), (await holdpoint(['policy', 'default'])).out);
    expect(await holdpoint(['policy', 'check', 'good.yaml'])).toMatchObject({ code: 0 });
    expect(await holdpoint(['policy', 'check', 'none.yaml'])).toMatchObject({ code: 1 });
  });

  test('check tells of rules that never decide; --strict makes that a failure', async () => {
    writeFileSync(
      join(home, 'p.yaml'),
      'version: 1\npreset: read-only\nrules:\n  - { name: a, match: { classes: [ddl] }, effect: hold }\n',
    );
    const done = await holdpoint(['policy', 'check', 'p.yaml']);
    expect(done).toMatchObject({
      code: 0,
      err: expect.stringMatching(/^p\.yaml:4:\d+: rules\[0\]: never decides/),
    });
    expect(done.out).toContain('Preset read-only: nothing that changes anything runs');
    expect((await holdpoint(['policy', 'check', '--strict', 'p.yaml'])).code).toBe(1);
    expect(JSON.parse((await holdpoint(['policy', 'schema'])).out)).toHaveProperty('properties.preset');
  });

  // The worker is the built file (policy/worker-url.ts); `npm test` builds first.
  test.runIf(existsSync('dist/cli/explain.worker.js'))('explain judges offline, line by line', async () => {
    const input = '{"sql":"DELETE FROM orders"}\n\n{"sql":"SELECT 1"}\n';
    const { out } = await holdpoint(['policy', 'explain', '--jsonl'], {}, input);
    const lines = out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines.map((line) => line.verdict ?? 'error')).toEqual(['hold', 'error', 'allow']);
    expect((await holdpoint(['policy', 'explain'], {}, 'DELETE FROM orders')).out).toMatch(/^verdict: hold/);
  });

  test.runIf(existsSync('dist/cli/explain.worker.js'))('test runs the cases beside a policy', async () => {
    writeFileSync(
      join(home, 'p.yaml'),
      'version: 1\nrules:\n  - { name: a, match: { owners: [bob], relations: [t] }, effect: deny }\n',
    );
    const cases = (expected: string) =>
      `tables: { t: [id] }\ncases:\n  - { sql: select id from t, expect: allow }\n  - { name: bob, sql: select id from t, who: { owner: bob }, expect: ${expected} }\n`;
    writeFileSync(join(home, 'p.test.yaml'), cases('deny'));
    expect(await holdpoint(['policy', 'test', 'p.yaml'])).toMatchObject({
      code: 0,
      out: '2 cases, all as expected.\n',
    });
    writeFileSync(join(home, 'other.yaml'), cases('{ verdict: hold, rules: [b] }'));
    const done = await holdpoint(['policy', 'test', 'p.yaml', 'other.yaml']);
    expect(done).toMatchObject({ code: 1, err: 'holdpoint: 1 of 2 cases failed.\n' });
    expect(done.out).toBe(`FAIL other.yaml:4  bob
    select id from t
    verdict   expected hold, got deny
    rules     - b
              + a
    because   SELECT on t (rule a)
`);
    // A call of a user's function until 17.
    const call = '{ sql: "select json_scalar(1)", expect';
    writeFileSync(
      join(home, 'other.yaml'),
      `tables: { t: [id] }\nserver: 15\ncases:\n  - ${call}: hold }\n  - ${call}: allow, server: 17 }\n`,
    );
    expect(await holdpoint(['policy', 'test', 'p.yaml', 'other.yaml'])).toMatchObject({ code: 0 });
    writeFileSync(join(home, 'other.yaml'), 'server: 14\ncases: [{ sql: select 1, expect: allow }]');
    expect(await holdpoint(['policy', 'test', 'p.yaml', 'other.yaml'])).toMatchObject({
      code: 1,
      err: expect.stringMatching(/other\.yaml:1:\d+: server: must be a major version: 15, 16, 17, 18/),
    });
    const explained = (major: string) =>
      holdpoint(['policy', 'explain', '--server', major], {}, 'SELECT json_scalar(1)');
    expect((await explained('16')).out).toMatch(/^verdict: hold/);
    expect((await explained('18')).out).toMatch(/^verdict: allow/);
    expect(await explained('14')).toMatchObject({ code: 2, err: expect.stringContaining('15, 16, 17, 18') });
    writeFileSync(join(home, 'other.yaml'), 'cases: [{}]');
    expect(await holdpoint(['policy', 'test', 'p.yaml', 'other.yaml'])).toMatchObject({
      code: 1,
      err: expect.stringMatching(/other\.yaml:1:\d+: cases\[0\]\.sql/),
    });
  });
});

test('a command called wrongly exits with 2, help with 0', async () => {
  expect((await holdpoint(['nonsense'])).code).toBe(2);
  expect((await holdpoint(['show'])).code).toBe(2);
  expect((await holdpoint(['--help'])).code).toBe(0);
  expect((await holdpoint(['sql', 'SELECT 1'])).err).toMatch(/holdpoint start/);
});

test('a table is aligned by what a terminal shows', () => {
  expect(
    table(
      ['id', 'name'],
      [
        ['7', '日本'],
        ['12', 'a\nb'],
      ],
      new Set([0]),
    ),
  ).toBe(
    [' id | name', '----+-----', '  7 | 日本', ' 12 | a↵b'].join('\n').replace('----+-----', '----+------'),
  );
});
