/** What the documents show is what the product takes. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { loadConfig } from '../src/config.ts';
import { parseCases } from '../src/policy/cases.ts';
import { parsePolicy } from '../src/policy/rules/parse.ts';

/** The first YAML block of a document. */
function example(path: string): string {
  const text = readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');
  return /```yaml\n([\s\S]*?)```/.exec(text)?.[1] ?? '';
}

test('the full holdpoint.yaml of the README loads, with every part of it in use', () => {
  const dir = mkdtempSync(join(tmpdir(), 'holdpoint-docs-'));
  try {
    // The files that it names are somebody else's; of them only these two are read at once.
    const yaml = example('README.md').replace('/run/secrets/app_admin', 'app_admin');
    writeFileSync(join(dir, 'holdpoint.yaml'), yaml);
    for (const name of ['app_admin', 'db-ca.pem']) writeFileSync(join(dir, name), 'x');
    const env = {
      HOLDPOINT_STORE_URL: 'postgres://store/holdpoint',
      APP_RO_PASSWORD: 'ro',
      APP_RW_PASSWORD: 'rw',
      SLACK_BOT_TOKEN: 'xoxb-1',
      SLACK_APP_TOKEN: 'xapp-1',
      OIDC_CLIENT_SECRET: 'c',
    };
    expect(loadConfig({}, env, dir)).toMatchObject({
      storeUrl: env.HOLDPOINT_STORE_URL,
      publicUrl: 'https://holdpoint.example.com',
      targets: [
        {
          name: 'app',
          environment: 'production',
          tls: 'verify-full',
          policyPath: join(dir, 'policy.yaml'),
          logins: { 'read-only': { password: 'ro' }, admin: { user: 'app_admin', password: 'x' } },
        },
      ],
      issuers: [{ issuer: 'https://login.example.com' }],
      approvers: [{ id: 'dana@example.com', slackId: 'U01ABCDEF', groups: ['dba'] }],
      slack: { botToken: 'xoxb-1', channel: 'C01ABCDEF' },
      hold: { agentWaitMs: 25_000, personWaitMs: 600_000, maxWaitMs: 1_800_000, agentIdleMs: 300_000 },
    });
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test('the policy of docs/policy.md is taken without a mistake or a warning', () => {
  expect(parsePolicy(example('docs/policy.md'))).toMatchObject({ kind: 'policy', warnings: [] });
});

test('the cases of docs/policy.md are read, with all they say', () => {
  const text = readFileSync(new URL('../docs/policy.md', import.meta.url), 'utf8');
  const parsed = parseCases(/```yaml\n(tables:[\s\S]*?)```/.exec(text)?.[1] ?? '');
  expect(parsed).toMatchObject({
    kind: 'cases',
    catalog: { relations: { length: 3 } },
    cases: { length: 2 },
  });
});
