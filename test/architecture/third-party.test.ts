/** The SBOM and the notices are what the lockfile says, and every licence in it is one that was looked at. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { root } from './source.ts';

const LICENCES = new Set([
  ...[
    'MIT',
    'ISC',
    'MIT and ISC',
    'BSD-2-Clause',
    'BSD-3-Clause',
    'Apache-2.0',
    'BlueOak-1.0.0',
    'Unlicense',
  ],
]);
/** Package → why its licence is no matter. */
const EXEMPT: Record<string, string> = {
  elkjs: 'EPL-2.0, not changed: part of the studio of the Prisma command line, which is never started',
  'seq-queue': 'names none in its package.json; its LICENSE is that of MIT',
};

interface Locked {
  readonly version: string;
  readonly name?: string;
  readonly dev?: boolean;
  readonly license?: string;
  readonly integrity?: string;
}
interface Component {
  readonly 'bom-ref': string;
  readonly name: string;
  readonly version: string;
  readonly purl: string;
  readonly scope: string;
  readonly licenses?: readonly { readonly license: { readonly id?: string; readonly name?: string } }[];
  readonly hashes?: readonly { readonly alg: string; readonly content: string }[];
}
interface Bom {
  readonly metadata: { readonly component: Component };
  readonly components: readonly Component[];
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[];
}

const own: { readonly version: string; readonly dependencies: Record<string, string> } = JSON.parse(
  readFileSync(join(root, 'package.json'), 'utf8'),
);
const lock: { readonly packages: Record<string, Locked> } = JSON.parse(
  readFileSync(join(root, 'package-lock.json'), 'utf8'),
);
const locked = Object.entries(lock.packages)
  .filter(([path, { dev }]) => path !== '' && dev !== true)
  .map(([path, one]) => ({ ...one, path, name: one.name ?? path.replace(/^.*node_modules\//, '') }));

let dir: string;
let text: string;
let bom: Bom;
let notices: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'holdpoint-third-party-'));
  expect(spawnSync(process.execPath, ['bin/third-party.mjs', dir], { cwd: root }).status).toBe(0);
  text = readFileSync(join(dir, 'sbom.cdx.json'), 'utf8');
  bom = JSON.parse(text);
  notices = readFileSync(join(dir, 'THIRD-PARTY-NOTICES.txt'), 'utf8');
});
afterAll(() => rmSync(dir, { recursive: true }));

it('the SBOM lists what is installed without development dependencies, and nothing else', () => {
  expect(bom).toMatchObject({ bomFormat: 'CycloneDX', specVersion: '1.6' });
  expect(bom.metadata.component).toMatchObject({ name: 'holdpoint', version: own.version });
  const listed = bom.components.map(({ name, version }) => `${name}@${version}`);
  expect(new Set(listed).size).toBe(listed.length);
  expect(listed.toSorted()).toEqual(
    [...new Set(locked.map(({ name, version }) => `${name}@${version}`))].toSorted(),
  );
  for (const dev of ['vitest', 'fast-check@4', '@biomejs/biome'])
    expect(listed.filter((one) => one.startsWith(dev))).toEqual([]);
});

it('its hashes are those that npm checks', () => {
  for (const { name, version, hashes } of bom.components) {
    const { integrity } = locked.find((one) => one.name === name && one.version === version) ?? {};
    const given = (hashes ?? []).map(({ alg, content }) => {
      const base64 = Buffer.from(content, 'hex').toString('base64');
      return `${alg.toLowerCase().replace('-', '')}-${base64}`;
    });
    expect(given.join(' '), name).toBe(integrity ?? '');
    expect(given, name).not.toEqual([]);
  }
});

it('its tree hangs together: every dependency of ours is in it, and everything is reached from us', () => {
  const on = new Map(bom.dependencies.map(({ ref, dependsOn }) => [ref, dependsOn]));
  const us = bom.metadata.component['bom-ref'];
  const direct = bom.components.filter((one) => on.get(us)?.includes(one.purl)).map(({ name }) => name);
  // What an alias stands for is in it by its own name.
  const named = Object.entries<string>(own.dependencies).map(
    ([name, version]) => /^npm:(.+)@/.exec(version)?.[1] ?? name,
  );
  expect(direct).toEqual(expect.arrayContaining(named));
  const reached = new Set<string>();
  const queue = [us];
  for (let ref = queue.pop(); ref !== undefined; ref = queue.pop()) {
    if (reached.has(ref)) continue;
    reached.add(ref);
    queue.push(...(on.get(ref) ?? []));
  }
  expect([...reached].toSorted()).toEqual([us, ...bom.components.map(({ purl }) => purl)].toSorted());
});

it('every licence is one that was looked at', () => {
  const unknown = bom.components.filter(({ name, licenses }) => {
    const said = licenses?.map(({ license }) => license.id ?? license.name ?? '') ?? [];
    return !(name in EXEMPT) && !(said.length > 0 && said.every((one) => LICENCES.has(one)));
  });
  expect(unknown.map(({ name, licenses }) => [name, licenses])).toEqual([]);
  for (const name of Object.keys(EXEMPT)) expect(bom.components.map((one) => one.name)).toContain(name);
});

it('the notices have the name, version and licence of each, and the texts of those that are installed', () => {
  const heads = [...notices.matchAll(/^={80}\n(\S+) (\S+)\nLicence: (.+)$/gm)].map(
    ([, name, version, licence]) => [name, version, licence],
  );
  expect(heads).toEqual(
    bom.components.map(({ name, version, licenses }) => {
      const [one] = licenses ?? [];
      return [name, version, one?.license.id ?? one?.license.name ?? 'none named in its package.json'];
    }),
  );
  for (const name of ['hono', 'pg', 'libpg-query', '@slack/bolt', 'zod']) {
    const file = ['LICENSE', 'LICENSE.md']
      .map((one) => join(root, 'node_modules', name, one))
      .find(existsSync);
    expect(notices, name).toContain(
      readFileSync(file ?? '', 'utf8')
        .replaceAll('\r\n', '\n')
        .trim(),
    );
  }
});

it('the same lockfile gives the same bytes', () => {
  expect(spawnSync(process.execPath, ['bin/third-party.mjs', join(dir, 'again')], { cwd: root }).status).toBe(
    0,
  );
  expect(readFileSync(join(dir, 'again/sbom.cdx.json'), 'utf8')).toBe(text);
  expect(readFileSync(join(dir, 'again/THIRD-PARTY-NOTICES.txt'), 'utf8')).toBe(notices);
});
