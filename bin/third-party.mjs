#!/usr/bin/env node
// What is not ours, from package-lock.json: sbom.cdx.json (CycloneDX 1.6) and THIRD-PARTY-NOTICES.txt with the texts of the licences.
// Asks nobody; the same lockfile and installation give the same bytes. `npm run build` puts both into dist/.
//
//   node bin/third-party.mjs [DIRECTORY]      default: dist
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { argv } from 'node:process';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const SPDX_ID = /^[A-Za-z0-9][A-Za-z0-9.+-]*$/;
const LICENCE_FILE = /^(licen[cs]e|copying|notice|copyright)/i;

/** Writes both into `to`; nothing where there is no lockfile. */
export function writeThirdParty(to) {
  if (!existsSync(join(root, 'package-lock.json'))) return;
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
  mkdirSync(to, { recursive: true });
  writeFileSync(join(to, 'sbom.cdx.json'), `${JSON.stringify(sbom(lock), null, 2)}\n`);
  writeFileSync(join(to, 'THIRD-PARTY-NOTICES.txt'), notices(lock));
}

/** All that an installation without development dependencies may have; `path` is where it is installed. */
function packagesOf(lock) {
  return Object.entries(lock.packages)
    .filter(([path, { dev, link }]) => path !== '' && dev !== true && link !== true)
    .map(([path, entry]) => ({ ...entry, path, name: entry.name ?? path.split('node_modules/').at(-1) }));
}

// An alias in the lockfile has the name of what it stands for.
const purl = ({ name, version }) => `pkg:npm/${name.replace(/^@/, '%40')}@${encodeURIComponent(version)}`;

function sbom(lock) {
  const own = lock.packages[''];
  const packages = packagesOf(lock);
  const at = new Map(packages.map((one) => [one.path, one]));
  const dependsOn = new Map();
  const needs = (ref, from, { dependencies, optionalDependencies, peerDependencies }) => {
    const all = Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies });
    const found = all.map((name) => nearest(at, from, name)).filter((one) => one !== null);
    dependsOn.set(ref, [...new Set([...(dependsOn.get(ref) ?? []), ...found.map(purl)])].sort());
  };
  needs(purl(own), '', own);
  for (const one of packages) needs(purl(one), one.path, one);
  // The same one in two places is one component; needed where one of them is.
  const byPurl = new Map();
  for (const one of packages) {
    const known = byPurl.get(purl(one));
    if (known === undefined || !optional(one)) byPurl.set(purl(one), one);
  }
  const refs = [...byPurl].sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    metadata: { component: { type: 'application', ...described(own) } },
    components: refs.map(([, one]) => ({
      type: 'library',
      ...described(one),
      scope: optional(one) ? 'optional' : 'required',
      ...(one.integrity === undefined ? {} : { hashes: hashes(one.integrity) }),
    })),
    dependencies: [...dependsOn]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([ref, on]) => ({ ref, dependsOn: on })),
  };
}

const optional = ({ optional: one, devOptional }) => one === true || devOptional === true;

function described({ name, version, license }) {
  const ref = purl({ name, version });
  const licences =
    license === undefined
      ? {}
      : { licenses: [{ license: SPDX_ID.test(license) ? { id: license } : { name: license } }] };
  return { 'bom-ref': ref, name, version, ...licences, purl: ref };
}

const ALGORITHMS = { sha1: 'SHA-1', sha256: 'SHA-256', sha384: 'SHA-384', sha512: 'SHA-512' };
function hashes(integrity) {
  return integrity.split(' ').map((one) => {
    const [name, base64] = [one.slice(0, one.indexOf('-')), one.slice(one.indexOf('-') + 1)];
    return { alg: ALGORITHMS[name], content: Buffer.from(base64, 'base64').toString('hex') };
  });
}

/** As Node looks for it: beside `from`, and then ever further up. */
function nearest(at, from, name) {
  for (let place = from; ; place = place.slice(0, Math.max(0, place.lastIndexOf('node_modules/') - 1))) {
    const found = at.get(place === '' ? `node_modules/${name}` : `${place}/node_modules/${name}`);
    if (found !== undefined || place === '') return found ?? null;
  }
}

function notices(lock) {
  const parts = packagesOf(lock)
    .sort((a, b) => (purl(a) < purl(b) ? -1 : purl(a) > purl(b) ? 1 : a.path < b.path ? -1 : 1))
    .filter((one, i, all) => i === 0 || purl(one) !== purl(all[i - 1]))
    .map((one) => `${'='.repeat(80)}\n${one.name} ${one.version}\n${texts(one)}`);
  return `Holdpoint is distributed with, or installs, the packages below. Each is under its own licence.\n\n${parts.join('\n')}`;
}

function texts({ path, license }) {
  const says = `Licence: ${license ?? 'none named in its package.json'}\n`;
  const folder = join(root, path);
  if (!existsSync(folder)) return `${says}For another platform than that of this installation.\n`;
  const files = readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isFile() && LICENCE_FILE.test(entry.name))
    .map(({ name }) => readFileSync(join(folder, name), 'utf8').replaceAll('\r\n', '\n').trim())
    .sort();
  if (files.length === 0) return `${says}The package carries no text of its licence.\n`;
  return `${says}\n${[...new Set(files)].join('\n\n')}\n`;
}

if (argv[1] !== undefined && resolve(argv[1]) === fileURLToPath(import.meta.url))
  writeThirdParty(resolve(argv[2] ?? join(root, 'dist')));
