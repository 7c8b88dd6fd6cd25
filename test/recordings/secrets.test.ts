import { join } from 'node:path';
import { expect, test } from 'vitest';
import { scrubText } from '../../src/recordings/secrets.ts';
import { bytesOf, meta, recorder, result, statement, temporaryDir } from './support.ts';

const JWT = 'eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJlLWJ5dGVz';
const SECRET_TEXTS: readonly string[] = [
  "ALTER ROLE app PASSWORD 'hunter2hunter2'",
  "create user app with encrypted password /* why */ 'hunter2hunter2'",
  "ALTER ROLE app PASSWORD -- comment\n E'hunter2\\'hunter2'",
  'ALTER ROLE app PASSWORD $x$hunter2hunter2$x$',
  "CREATE USER MAPPING FOR u SERVER s OPTIONS (user 'u', password 'hunter2hunter2')",
  "SELECT dblink_connect('host=db user=u password=hunter2hunter2 dbname=d')",
  "SELECT dblink_connect('postgres://u:hunter2hunter2@db/d')",
  `SELECT set_config('app.jwt', '${JWT.replace('c2ln', 'hunter2hunter2')}', false)`,
  'Authorization: Bearer hunter2hunter2hunter2',
  'xoxb-1234-hunter2hunter2',
  `SELECT 'hpc_hunter2${'A'.repeat(36)}'`,
  'SELECT \'{"client_secret": "hunter2hunter2"}\'::json',
  "SELECT 'a?api_key=$x&token=<y>&password=hunter2hunter2'",
  `token-${JWT.replace('c2ln', 'hunter2hunter2')}`,
  '-----BEGIN PRIVATE KEY-----\nhunter2hunter2\n-----END PRIVATE KEY-----',
];

test.each(SECRET_TEXTS)('I9: a secret is not recorded: %s', async (text) => {
  const dir = temporaryDir();
  const made = recorder(dir);
  const session = made.open({ ...meta('s1'), applicationName: text });
  session.append([
    statement(1, text, { binds: [text, null], reason: text }),
    { kind: 'approval', t: 1, n: 1, request: 'HP-1', state: 'denied', by: null, surface: null, note: text },
    result(1, { values: [[text]], error: { code: 'XX000', message: text } }),
    { kind: 'notice', t: 1, n: 1, text },
  ]);
  session.close(text);
  await made.flush();
  expect(bytesOf(dir, 's1').toString()).not.toContain('hunter2');
  expect(await made.verify('s1')).toMatchObject({ kind: 'intact' });
});

test('I9: what the gateway itself holds never reaches the files', async () => {
  const { loadSigningKey } = await import('../../src/recordings/keys.ts');
  const dir = temporaryDir();
  const made = recorder(dir);
  made.open(meta('s1')).close('done');
  await made.flush();
  const pem = loadSigningKey(join(dir, 'keys'))
    .privateKey.export({ type: 'pkcs8', format: 'pem' })
    .toString();
  expect(bytesOf(dir, 's1').toString()).not.toContain(pem.split('\n')[1]);
});

test.each([
  "SELECT id FROM users WHERE password_changed_at > '2026-01-01'",
  'SELECT secret_santa FROM staff',
  "ALTER ROLE a PASSWORD 'a\\'; DROP TABLE x; --'",
  'DO $password$BEGIN DELETE FROM orders; END$password$',
  'UPDATE t SET password=crypt(x) WHERE id=1',
  'SELECT 1 -- token',
])('the words of a statement that are no secret stay: %s', (sql) => {
  const scrubbed = scrubText(sql);
  for (const word of [
    'DROP TABLE x',
    'DELETE FROM orders',
    'crypt(x)',
    'password_changed_at',
    'secret_santa',
    '-- token',
  ]) {
    if (sql.includes(word)) expect(scrubbed).toContain(word);
  }
});

test('no text makes the search slow', () => {
  for (const text of [
    'password'.repeat(40_000),
    `password${' '.repeat(300_000)}`,
    `password${'/**/'.repeat(80_000)}`,
    `password${'--'.repeat(150_000)}`,
    '://'.repeat(100_000),
    `password'${"''".repeat(150_000)}`,
    'eyJ'.repeat(100_000),
    '-----BEGIN '.repeat(30_000),
    'password$a$'.repeat(30_000),
    'secret="'.repeat(40_000),
    'eyJaaaaaaaaa-'.repeat(20_000),
    `${'password='.repeat(30_000)}(`,
  ]) {
    const start = performance.now();
    scrubText(text);
    expect(performance.now() - start, text.slice(0, 20)).toBeLessThan(1_500);
  }
});
