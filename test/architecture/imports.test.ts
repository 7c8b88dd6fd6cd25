/** DESIGN.md, "Folders, and who may import whom": the table, and the single owners. */
import { expect, test } from 'vitest';
import { type Import, importsOf, readSource, sourceFiles } from './source.ts';

type Allowed = 'all' | 'types';
/** Units of src; the longest matching prefix owns a file. A file of the root is a unit of its own name. */
const TABLE: Record<string, Record<string, Allowed>> = {
  'gateway/wire': {},
  policy: {},
  masking: {},
  edge: {},
  identity: { edge: 'all' },
  embedded: {},
  approvals: { policy: 'types' },
  recordings: { policy: 'types' },
  gateway: {
    'gateway/wire': 'all',
    policy: 'all',
    masking: 'all',
    approvals: 'all',
    edge: 'all',
    identity: 'all',
    recordings: 'all',
  },
  bot: { approvals: 'all', edge: 'all', policy: 'types' },
  store: { approvals: 'types', recordings: 'types', bot: 'types', identity: 'types', generated: 'all' },
  console: {
    approvals: 'all',
    edge: 'all',
    policy: 'all',
    identity: 'all',
    recordings: 'all',
    store: 'types',
  },
  cli: {
    approvals: 'all',
    policy: 'all',
    identity: 'all',
    recordings: 'all',
    store: 'types',
    'app.ts': 'all',
    'config.ts': 'all',
  },
  // Root files: the composition root reaches everything, its helpers nothing but types.
  'app.ts': {
    'gateway/wire': 'all',
    gateway: 'all',
    policy: 'all',
    masking: 'all',
    edge: 'all',
    identity: 'all',
    embedded: 'all',
    approvals: 'all',
    recordings: 'all',
    bot: 'all',
    store: 'all',
    console: 'all',
    'config.ts': 'all',
    'demo.ts': 'all',
    'levels.ts': 'all',
    'notices.ts': 'all',
    'clock.ts': 'all',
    'ports.ts': 'all',
    'readiness.ts': 'all',
    'secrets.ts': 'all',
    'slack.ts': 'all',
  },
  'slack.ts': {
    approvals: 'types',
    bot: 'all',
    identity: 'types',
    policy: 'types',
    store: 'types',
    'config.ts': 'types',
  },
  'demo.ts': { embedded: 'all', identity: 'types', 'config.ts': 'types', 'secrets.ts': 'all' },
  'levels.ts': { identity: 'types', 'config.ts': 'types', 'demo.ts': 'all' },
  'notices.ts': { gateway: 'all', 'config.ts': 'types', 'demo.ts': 'all', 'levels.ts': 'all' },
  'readiness.ts': {
    console: 'types',
    gateway: 'all',
    recordings: 'all',
    store: 'all',
    'config.ts': 'types',
  },
  'config.ts': { config: 'all' },
  config: { edge: 'all', gateway: 'types', identity: 'types' },
  'clock.ts': {},
  'ports.ts': {},
  'secrets.ts': {},
};

/** Edges outside the table, each with its reason. */
const EXEMPT_EDGES: Record<string, string> = {
  'cli/start.ts -> embedded/platform.ts':
    'an unsupported system is told so before anything else is loaded or started',
  'bot -> recordings/types.ts':
    'types of the port that lists sessions for /hoop sessions; nothing of it at run time',
  'cli -> secrets.ts': 'private files (0600) of the command line: the approver token, the demo URL',
};

interface Owner {
  readonly what: string;
  readonly packages: RegExp;
  readonly owners: readonly string[];
  /** File or folder → why it may as well. */
  readonly exempt?: Record<string, string>;
}
const OWNERS: readonly Owner[] = [
  { what: 'Prisma', packages: /^(@prisma\/|prisma($|\/))/, owners: ['store'] },
  { what: 'the Slack SDK', packages: /^@slack\//, owners: ['bot'] },
  {
    what: 'SQL parsers',
    packages: /^(libpg-query|node-sql-parser|pgsql-)/,
    owners: ['policy/parse', 'policy/tidy.ts', 'policy/tidy.worker.ts', 'policy/tidy'],
  },
  {
    what: 'sockets',
    packages: /^(node:)?(net|tls|dgram)$/,
    owners: ['gateway'],
    exempt: {
      'ports.ts': 'probes for a free port at start',
      'embedded/postgres.ts': 'probes for a free port for the embedded server',
      edge: 'address arithmetic (BlockList, isIP), no socket',
      'console/server.ts': 'address arithmetic (BlockList, isIP) for its loopback check, no socket',
      'cli/sql.ts': '`holdpoint sql` is an ordinary wire client',
    },
  },
  {
    what: 'HTTP',
    packages: /^((node:)?(http|https|http2)|hono($|\/)|@hono\/)/,
    owners: ['console'],
    exempt: { 'bot/http-link.ts': "Slack's HTTP mode: the signed endpoint that receives Slack's requests" },
  },
  {
    what: 'database clients',
    packages: /^pg($|\/)/,
    owners: ['store', 'gateway'],
    exempt: {
      'embedded/demo-shop.ts': 'fills the demo shop',
      cli: '`holdpoint sql` and re-run are ordinary clients',
    },
  },
  { what: 'the wire serializer', packages: /^pg-protocol/, owners: ['gateway'] },
];

const units = Object.keys(TABLE).sort((a, b) => b.length - a.length);
const files = sourceFiles();
const imports = files.flatMap((file) => importsOf(file, readSource(file)));

function within(path: string, unit: string): boolean {
  return path === unit || path.startsWith(`${unit}/`);
}
function unitOf(path: string): string | null {
  if (within(path, 'generated')) return 'generated';
  return units.find((unit) => within(path, unit)) ?? null;
}

function forbidden(one: Import): string | null {
  if (one.to === null) return null;
  const [from, to] = [unitOf(one.from), unitOf(one.to)];
  if (from === null || to === null) return `${one.from} -> ${one.to}: not a folder of DESIGN.md`;
  // A unit is free inside; gateway/types.ts and gateway/wire are one folder, but wire takes nothing from above it.
  if (from === to) return null;
  const allowed = TABLE[from]?.[to];
  if (allowed === 'all' || (allowed === 'types' && one.typeOnly)) return null;
  const typed = one.typeOnly ? [`${from} -> ${one.to}`] : [];
  if (from === 'cli' && one.to === 'secrets.ts') typed.push('cli -> secrets.ts');
  if ([`${one.from} -> ${one.to}`, ...typed].some((edge) => edge in EXEMPT_EDGES)) return null;
  return `${one.from} -> ${one.to}${allowed === 'types' ? ' (types only)' : ''}`;
}

test('the scan sees the imports', () => {
  expect(files.length).toBeGreaterThan(20);
  const seen = importsOf(
    'bot/x.ts',
    [
      "import a, { type B, c } from '../gateway/a.ts';",
      "import type { D } from '../policy/types.ts';",
      "import { type E, type F } from '../policy/types.ts';",
      "import './side.ts';",
      "export * from '../store/b.ts';",
      'export { g } from "node:net";',
      "const h = await import('../cli/c.ts');",
      "new Worker(new URL('./w.worker.ts', import.meta.url));",
      "// import x from 'comment';",
      'import {\n  i,\n  type J,\n} from "pg";',
    ].join('\n'),
  );
  expect(seen.map((one) => [one.to ?? one.specifier, one.typeOnly])).toEqual([
    ['gateway/a.ts', false],
    ['policy/types.ts', true],
    ['policy/types.ts', true],
    ['bot/side.ts', false],
    ['store/b.ts', false],
    ['node:net', false],
    ['pg', false],
    ['cli/c.ts', false],
    ['bot/w.worker.ts', false],
  ]);
});

test('the rules bite', () => {
  const edge = (from: string, to: string, typeOnly = false) =>
    forbidden({ from, specifier: '.', typeOnly, to });
  expect(edge('bot/x.ts', 'gateway/types.ts', true)).not.toBeNull();
  expect(edge('gateway/x.ts', 'bot/types.ts', true)).not.toBeNull();
  expect(edge('gateway/wire/x.ts', 'gateway/types.ts', true)).not.toBeNull();
  expect(edge('policy/x.ts', 'gateway/types.ts', true)).not.toBeNull();
  expect(edge('approvals/x.ts', 'policy/verdict.ts')).not.toBeNull();
  expect(edge('store/x.ts', 'approvals/desk.ts')).not.toBeNull();
  expect(edge('console/x.ts', 'app.ts')).not.toBeNull();
  expect(edge('utils/x.ts', 'policy/types.ts')).not.toBeNull();
  expect(edge('gateway/x.ts', 'gateway/wire/frame.ts')).toBeNull();
});

test('no file imports what its folder may not', () => {
  expect(imports.map(forbidden).filter((found) => found !== null)).toEqual([]);
});

test('only cli imports app', () => {
  expect(imports.filter((one) => one.to === 'app.ts' && !within(one.from, 'cli'))).toEqual([]);
});

test.each(OWNERS)('$what: one owner', ({ packages, owners, exempt }) => {
  const places = [...owners, ...Object.keys(exempt ?? {})];
  const strays = imports.filter(
    (one) =>
      one.to === null &&
      !one.typeOnly &&
      packages.test(one.specifier) &&
      !places.some((place) => within(one.from, place)),
  );
  expect(strays.map((one) => `${one.from}: ${one.specifier}`)).toEqual([]);
});

test('process.env is read in config alone', () => {
  const reads = files.filter(
    (file) =>
      file !== 'config.ts' &&
      /process\s*(\?\.|\.)\s*env\b|\benv\b[^;\n]*from 'node:process'/.test(readSource(file)),
  );
  expect(reads).toEqual([]);
});

test('the clock is handed out by app', () => {
  // cli: how long its own start took; watchdog and lock: processes of their own or before anything is composed.
  const strays = files.filter(
    (file) =>
      !['app.ts', 'cli', 'embedded'].some((place) => within(file, place)) &&
      /\bDate\.now\(\)|\bnew Date\(\)/.test(readSource(file).replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '')),
  );
  expect(strays).toEqual([]);
});
