/** Dockerfile and compose.yaml: images that can be pinned, secrets as files, bounds, and a configuration that loads. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { parse } from 'yaml';
import { loadConfig } from '../../src/config.ts';
import { root } from './source.ts';

interface Service {
  readonly image?: string;
  readonly build?: { readonly args: Record<string, string> };
  readonly environment: Record<string, string>;
  readonly secrets: readonly string[];
  readonly mem_limit?: string;
  readonly pids_limit?: number;
}
const read = (path: string) => readFileSync(join(root, path), 'utf8');
const dockerfile = read('Dockerfile');
const compose: {
  readonly services: Record<string, Service>;
  readonly secrets: Record<string, { readonly file: string }>;
  readonly configs: Record<string, { readonly content: string }>;
} = parse(read('compose.yaml'));
const services = Object.entries(compose.services);

it('every image is a tag that an argument replaces by a digest, and no digest is written down', () => {
  const from = dockerfile.match(/^FROM .*$/gm) ?? [];
  expect(from.length).toBeGreaterThan(0);
  for (const line of from) expect(line).toMatch(/^FROM \$\{NODE_IMAGE\}( AS \w+)?$/);
  expect(dockerfile).toMatch(/^ARG NODE_IMAGE=node:\d+-[a-z]+-slim$/m);
  const [, tag] = /^ARG NODE_IMAGE=(.+)$/m.exec(dockerfile) ?? [];
  for (const [name, { image, build }] of services)
    expect(image ?? build?.args['NODE_IMAGE'], name).toMatch(
      build === undefined ? /^\$\{POSTGRES_IMAGE:-postgres:\d+-[a-z]+\}$/ : `\${NODE_IMAGE:-${tag}}`,
    );
  for (const path of ['Dockerfile', 'compose.yaml', 'docs/deployment.md'])
    expect(read(path)).not.toMatch(/sha256:[0-9a-f]{16}/);
});

it('secrets are files that the service is given, never values of its environment', () => {
  for (const [name, { environment, secrets }] of services) {
    const files = Object.entries(environment).filter(([key]) => key.endsWith('_FILE'));
    expect(
      Object.keys(environment).filter((key) => /PASSWORD$|TOKEN$|SECRET$|URL$/.test(key)),
      name,
    ).toEqual([]);
    for (const [key, path] of files)
      expect(
        secrets.map((one) => `/run/secrets/${one}`),
        key,
      ).toContain(path);
    for (const secret of secrets) expect(compose.secrets, name).toHaveProperty([secret]);
  }
  for (const { file } of Object.values(compose.secrets)) expect(file).toMatch(/^\.\/secrets\//);
  for (const path of ['.gitignore', '.dockerignore']) expect(read(path)).toMatch(/^\/?secrets\/?$/m);
});

it('every service is bounded in memory and processes', () => {
  for (const [name, service] of services)
    expect(service, name).toMatchObject({
      mem_limit: expect.stringMatching(/^\d+[mg]$/),
      pids_limit: expect.any(Number),
    });
});

it('the configuration in compose.yaml loads, with the secrets from their files', () => {
  const dir = mkdtempSync(join(tmpdir(), 'holdpoint-compose-'));
  try {
    const { environment = {} } = compose.services['holdpoint'] ?? {};
    const env: Record<string, string> = { ...environment };
    for (const [key, path] of Object.entries(environment)) {
      if (!key.endsWith('_FILE')) continue;
      env[key] = path.replace('/run/secrets', dir);
      writeFileSync(env[key], 'a1b2c3\n');
    }
    // `$$` is Compose's own way to write `$`.
    writeFileSync(
      join(dir, 'holdpoint.yaml'),
      (compose.configs['holdpoint']?.content ?? '').replaceAll('$$', '$'),
    );
    env['HOLDPOINT_CONFIG'] = join(dir, 'holdpoint.yaml');
    expect(loadConfig({}, env, dir)).toMatchObject({
      dataDir: '/data',
      storeUrl: 'postgres://holdpoint:a1b2c3@127.0.0.1:7433/holdpoint',
      targets: [{ name: 'app', logins: { 'read-only': { password: 'a1b2c3' } } }],
    });
  } finally {
    rmSync(dir, { recursive: true });
  }
});
