import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ConfigError, type Flags, loadConfig } from '../src/config.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'holdpoint-config-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

const load = (yaml: string, env: NodeJS.ProcessEnv = {}, flags: Flags = {}) => {
  writeFileSync(join(dir, 'holdpoint.yaml'), yaml);
  return loadConfig(flags, env, dir);
};
function mistakes(...args: Parameters<typeof load>): string[] {
  try {
    load(...args);
  } catch (error) {
    if (error instanceof ConfigError)
      return error.problems.map(({ place, message }) => `${place.replace(`${dir}/`, '')} ${message}`);
    throw error;
  }
  return [];
}

test('limits of the gateway are read with their units, and held to sensible ranges', () => {
  const limits = '{ connections: 5000, per_address: 2000, per_owner: 10, login: 5s, message: 64MB }';
  expect(load(`gateway: { limits: ${limits} }`).gateway.limits).toEqual({
    total: 5000,
    perAddress: 2000,
    perOwner: 10,
    loginMs: 5000,
    messageBytes: 64 * 1024 * 1024,
  });
  expect(load('gateway: {}').gateway.limits).toEqual({});
  expect(
    mistakes('gateway: { limits: { connections: 0, per_owner: 1.5, login: 2m, message: 2GB, portals: 1 } }'),
  ).toHaveLength(5);
});

test('trusted proxies are networks, of the gateway and of the console, and nobody unless named', () => {
  const named = load(
    'gateway: { trusted_proxies: [10.0.0.0/8] }\nconsole: { trusted_proxies: ["fd00::1", 127.0.0.1] }',
  );
  expect(named.gateway.trustedProxies).toEqual(['10.0.0.0/8']);
  expect(named.console.trustedProxies).toEqual(['fd00::1', '127.0.0.1']);
  expect([load('').gateway.trustedProxies, load('').console.trustedProxies]).toEqual([[], []]);
  expect(
    mistakes(
      'gateway: { trusted_proxies: [proxy.example.com, 10.0.0.0/33] }\nconsole: { trusted_proxies: [0.0.0.0/0] }',
    ),
  ).toEqual(Array(3).fill(expect.stringMatching(/write an address or a network/)));
});

test('Slack: tokens in each other’s place are told, and not shown', () => {
  const said = mistakes('', {
    SLACK_BOT_TOKEN: 'xapp-1-secret',
    SLACK_APP_TOKEN: 'xoxb-2-secret',
    SLACK_CHANNEL: '#db',
  });
  expect(said.sort()).toEqual([
    expect.stringMatching(/^SLACK_APP_TOKEN .*starts with xapp-/),
    expect.stringMatching(/^SLACK_BOT_TOKEN .*starts with xoxb-/),
  ]);
  expect(said.join()).not.toContain('secret');
});

test('Slack: where cards go and who is called, with nothing switched on that was not written', () => {
  const tokens = 'bot_token: xoxb-x, app_token: xapp-x, channel: "#db"';
  expect(load(`slack: { ${tokens} }`).slack).toMatchObject({
    ...{ mention: null, matchEmail: false, userGroups: false, routes: [], alerts: null },
  });
  const routes =
    '[{ target: app, rule: pii, channel: "#sec", mention: "@sec" }, { environment: prod, channel: C1 }]';
  const more = `user_groups: true, mention: S0DBA, alerts: {}, routes: ${routes}`;
  const target = 'targets: { app: { url: "postgres://u:p@db/app" } }';
  expect(load(`slack: { ${tokens}, ${more} }\n${target}`).slack).toMatchObject({
    mention: 'S0DBA',
    alerts: { count: 5, withinMs: 600_000, channel: '#db' },
    routes: [
      { target: 'app', rule: 'pii', channel: '#sec', mention: '@sec' },
      { environment: 'prod', channel: 'C1', mention: null },
    ],
  });
  const wrong =
    '[{ channel: C1 }, { target: nowhere, channel: C1, mention: "@sec" }, { rule: a, channel: C1, mention: sec }]';
  const told = mistakes(
    `slack: { ${tokens}, alerts: { count: 1, within: 5s }, routes: ${wrong} }\n${target}`,
  );
  for (const words of [
    'name a target, an environment or a rule',
    'write the id of a user group',
    'alerts.count',
    '1m and 24h',
  ])
    expect(told.join('\n')).toContain(words);
  const meant = mistakes(
    `slack: { ${tokens}, routes: [{ target: nowhere, channel: C1, mention: "@sec" }] }\n${target}`,
  );
  expect(meant.join('\n')).toMatch(/there is no target "nowhere"[\s\S]*"@sec" is a handle/);
});

describe('mistakes are told all at once, each with its place', () => {
  test('of the shape, of the meaning, of the environment and of the command line', () => {
    const yaml = `gateway: { listen: nowhere, tls: { cert_file: a.pem, key_file: b.pem } }
targets:
  app:
    url: mysql://db/app
    logins: { admin: { user: a, password: "\${NOT_SET}" } }
  Main: { url: "postgres://u:p@db/app" }
  lax:
    url: postgres://u:p@db/app
    protocol: trusted
  nobody:
    url: postgres://db/app?sslmode=require
    ca_file: none.pem
  modes: { url: "postgres://u:p@db:5432/app?sslmode=prefer" }
identity:
  levels: { dba: god }
hold: { agent_wait: soon, patience: 1, haste: 2 }
console: { listen: 0.0.0.0:7480 }
colour: blue
`;
    const env = {
      SLACK_BOT_TOKEN: 'xoxb-x',
      HOLDPOINT_APPROVERS: 'nobody at all',
      HOLDPOINT_STORE_URL: 'mysql://s',
      HOLDPOINT_LOG: 'loud',
      HOLDPOINT_LISTEN: 'x:70000',
    };
    const said = mistakes(yaml, env, { target: ['x', 'y=postgres://h:99999/d', 'lax=postgres://u@h/d'] });
    const places = said.map((one) => /^(--target \w+(?= is)|\S+)/.exec(one)?.[0] ?? '');
    expect(places.sort()).toEqual(
      [
        ...['1:12', '1:36', '1:54', '4:5', '5:33', '6:3', '9:5', '10:3', '12:5', '13:12', '15:13', '16:9'],
        ...['16:27', '16:40', '17:12', '18:1'],
      ]
        .map((at) => `holdpoint.yaml:${at}`)
        .concat('--target', '--target y', '--target', 'HOLDPOINT_APPROVERS', 'HOLDPOINT_LISTEN')
        .concat('HOLDPOINT_LOG', 'HOLDPOINT_STORE_URL', 'SLACK_APP_TOKEN', 'SLACK_CHANNEL')
        .sort(),
    );
    expect(said.join('\n')).not.toContain('u:p@');
  });

  test('of a console beyond this machine', () => {
    expect(mistakes('', { HOLDPOINT_CONSOLE_LISTEN: '0.0.0.0:0' })).toEqual([
      expect.stringMatching(
        /^HOLDPOINT_CONSOLE_LISTEN the console does not listen on 0\.0\.0\.0 without a login configured/,
      ),
    ]);
  });

  test('of a login to the console', () => {
    const oidc = (more: string, rest = '') =>
      mistakes(`console:\n  oidc: { issuer: "https://id.example", client_id: c${more} }\n${rest}`, {});
    expect(oidc('')).toEqual([]);
    expect(oidc('', '  listen: 0.0.0.0:7480\n')[0]).toMatch(/listens on 0\.0\.0\.0 only behind https/);
    expect(oidc('', '  listen: 0.0.0.0:7480\n  public_url: http://hold.example\n').join()).toMatch(
      /only behind https.*over https only/,
    );
    expect(oidc('', '  listen: 0.0.0.0:7480\n  public_url: https://hold.example\n')).toEqual([]);
    expect(oidc('', '  public_url: http://localhost:7480\n')).toEqual([]);
    expect(oidc(', client_secret: ""')[0]).toMatch(/secret is empty/);
    expect(oidc(', client_secret: a, client_secret_file: b').join()).toMatch(/not both.*cannot be read/);
    expect(oidc(', session: 2m')[0]).toMatch(/between 5m and 24h/);
    expect(oidc(', scopes: ["a b"]')[0]).toMatch(/one word/);
    expect(mistakes('console:\n  oidc: { issuer: "http://id.example", client_id: c }\n', {})[0]).toMatch(
      /no https URL/,
    );
    expect(mistakes('console:\n  roles: { owner: [x] }\n', {})[0]).toMatch(/no setting "owner"/);
  });

  test('of YAML itself, of a file that is not there or is a directory', () => {
    expect(mistakes('targets: { app: [ }\n')[0]).toMatch(/^holdpoint\.yaml:1:\d+ /);
    expect(mistakes('just words')).toEqual([expect.stringMatching(/^holdpoint\.yaml:1:1 the file: /)]);
    expect(mistakes('', {}, { config: 'none.yaml' })).toEqual(['--config there is no file none.yaml']);
    expect(mistakes('', { HOLDPOINT_CONFIG: '.' })).toEqual([`${dir} the file cannot be read`]);
  });
});

test('the command line wins over the environment, that over the file; an empty variable counts as unset', () => {
  const yaml =
    'data: kept\nstore: { url: "postgres://file/s" }\ngateway: { listen: "[::1]:1" }\ntargets: { app: { url: "postgres://u:p%40@db/app?sslmode=disable", policy: p.yaml } }\n';
  const unset = { HOLDPOINT_DATA: '', HOLDPOINT_STORE_URL: '', HOLDPOINT_LISTEN: '' };
  const plain = load(yaml, unset);
  expect(plain).toMatchObject({
    dataDir: join(dir, 'kept'),
    storeUrl: 'postgres://file/s',
    gateway: { host: '::1', port: 1, configured: true },
    console: { host: '127.0.0.1', port: 7480, configured: false },
    demo: false,
  });
  expect(plain.targets[0]).toMatchObject({
    tls: 'disable',
    policyPath: join(dir, 'p.yaml'),
    logins: { 'read-only': { user: 'u', password: 'p@' } },
  });
  const env = { HOLDPOINT_DATA: '/e', HOLDPOINT_STORE_URL: 'postgres://env/s', HOLDPOINT_LISTEN: 'h:2' };
  expect(load(yaml, env)).toMatchObject({
    dataDir: '/e',
    storeUrl: 'postgres://env/s',
    gateway: { host: 'h', port: 2 },
  });
  expect(load(yaml, env, { data: '/f' }).dataDir).toBe('/f');
});

describe('a secret in a file that NAME_FILE names', () => {
  const file = (name: string, text: string): string => {
    writeFileSync(join(dir, name), text);
    return join(dir, name);
  };
  const yaml = `
store: { url: "postgres://holdpoint:\${STORE_PASSWORD}@store/holdpoint" }
targets: { app: { url: "postgres://db/app", logins: { read-only: { user: ro, password: "\${APP_PASSWORD}" } } } }
identity: { approvers: [{ name: Dana, email: dana@example.com }] }
`;
  test('is taken as the variable would be, without the line end after it', () => {
    const config = load(yaml, {
      STORE_PASSWORD_FILE: file('store', 'sesame\n'),
      APP_PASSWORD_FILE: file('app', ' open \r\n'),
      SLACK_BOT_TOKEN_FILE: file('bot', 'xoxb-1\n'),
      SLACK_APP_TOKEN_FILE: file('app-level', 'xapp-1\n'),
      SLACK_BOT_TOKEN: '',
      SLACK_CHANNEL: '#db',
    });
    expect(config.storeUrl).toBe('postgres://holdpoint:sesame@store/holdpoint');
    expect(config.targets[0]?.logins['read-only']?.password).toBe(' open ');
    expect(config.slack).toMatchObject({ botToken: 'xoxb-1', appToken: 'xapp-1' });
    const store = { HOLDPOINT_STORE_URL_FILE: file('url', 'postgres://u:p@store/hp\n'), STORE_PASSWORD: '-' };
    expect(load(yaml, { ...store, APP_PASSWORD: '-' }).storeUrl).toBe('postgres://u:p@store/hp');
  });

  test('that is not there, or is written twice, is told once and not shown', () => {
    const twice = yaml.replace('user: ro', `user: "\${STORE_PASSWORD}"`);
    const told = mistakes(twice, { STORE_PASSWORD_FILE: join(dir, 'none'), APP_PASSWORD: '-' });
    expect(told.filter((one) => one.startsWith('STORE_PASSWORD'))).toEqual([
      `STORE_PASSWORD_FILE STORE_PASSWORD: the file ${dir}/none cannot be read`,
    ]);
    expect(told.join()).not.toContain('is not set');
    const both = { STORE_PASSWORD: 'sesame', STORE_PASSWORD_FILE: file('store', 'open') };
    expect(mistakes(yaml, { ...both, APP_PASSWORD: '-' })).toEqual([
      'STORE_PASSWORD_FILE is set, and so is STORE_PASSWORD: keep one of them',
    ]);
  });
});
