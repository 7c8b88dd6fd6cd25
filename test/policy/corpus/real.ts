/** The corpora's ground: a real PostgreSQL with the schema of this folder, its catalog as the gateway reads it, verdicts over it. */
import { readFileSync } from 'node:fs';
import pg from 'pg';
import { createCatalog } from '../../../src/gateway/judge/catalog.ts';
import { connectCatalog } from '../../../src/gateway/judge/catalog-connection.ts';
import { analyse, loadGrammar } from '../../../src/policy/analyse.ts';
import { createPolicyHolder, createTagLookup } from '../../../src/policy/rules/index.ts';
import type { Analysis, CatalogSnapshot, Facts, Verdict } from '../../../src/policy/types.ts';
import { evaluate } from '../../../src/policy/verdict.ts';
import { installed, MAJORS, type Major, type TestPostgres, testPostgres } from '../../support/postgres.ts';
import { context } from '../facts-of.ts';

const file = (name: string): string => readFileSync(new URL(name, import.meta.url), 'utf8');

/**
 * One case a line: `["expected", "SQL"]`, or with statements that go before it and are not judged (`""`: none), and after those the
 * major that first has the statement: on older ones the case is left out. `HP_MAJOR=15` runs a corpus on that major alone.
 */
export type Case = readonly [expected: string, sql: string, setup: string];
export function cases(name: string, major: Major = 18): readonly Case[] {
  return file(name)
    .split('\n')
    .filter((line) => line.startsWith('['))
    .flatMap((line): Case[] => {
      const [expected = '', sql = '', setup = '', since = 15] = JSON.parse(line) as [
        string?,
        string?,
        string?,
        number?,
      ];
      return since > major ? [] : [[expected, sql, setup]];
    });
}

const only = process.env['HP_MAJOR'];
/** The majors that a corpus is run on here: those that are installed. 15 is told as skipped where it is not. */
export const majors: readonly { readonly major: Major; readonly here: boolean }[] = MAJORS.filter((major) =>
  only === undefined ? major === 15 || installed(major) : only === String(major),
).map((major) => ({ major, here: installed(major) }));

export interface Judgement {
  readonly facts: Facts | null;
  readonly verdict: Verdict;
}

export interface Ground {
  readonly server: TestPostgres;
  client(database: string): Promise<pg.Client>;
  /** `policy`: more of a policy file, after the tags. */
  judge(sql: string, setup?: string): Judgement;
  analyse(sql: string): Analysis;
  stop(): Promise<void>;
}

const SHOP: readonly string[] = ['schema.sql', 'data.sql'];

/** `more`: SQL that goes on top of the schema. `values`: what the tagged columns of each database are filled with. */
export async function ground(
  values: Readonly<Record<string, string>>,
  major: Major = 18,
  { files = SHOP, more = '' }: { readonly files?: readonly string[]; readonly more?: string } = {},
): Promise<Ground> {
  await loadGrammar(major);
  const server = await testPostgres({ shared_preload_libraries: 'pg_stat_statements' }, major);
  try {
    return await filled(server, values, major, files, more);
  } catch (error) {
    await server.stop();
    throw error;
  }
}

/** Lines that end with `-- since 18` are left out on older servers; a virtual column is a stored one there. */
function since(sql: string, major: Major): string {
  if (major === 18) return sql;
  const lines = sql.split('\n').filter((line) => Number(/-- since (\d+)$/.exec(line)?.[1] ?? 0) <= major);
  return lines.join('\n').replace(/\) VIRTUAL\b/g, ') STORED');
}

async function filled(
  server: TestPostgres,
  values: Readonly<Record<string, string>>,
  major: Major,
  files: readonly string[],
  more: string,
): Promise<Ground> {
  const clients: pg.Client[] = [];
  for (const [database, value] of Object.entries(values)) {
    await server.createDatabase(database);
    for (const name of files)
      await server.query(database, since(file(name), major).replaceAll(/(?<!:):v\b/g, value));
    if (more !== '') await server.query(database, more.replaceAll(':v', value));
    // A case that deletes must have something to delete.
    if (files === SHOP) {
      const { rows } = await server.query(database, 'SELECT FROM order_items');
      if (rows.length === 0) throw new Error('the ground has been emptied while it was laid');
    }
  }
  const [first = ''] = Object.keys(values);
  const snapshot = await catalogOf(server, first);
  const { policy } = createPolicyHolder(file('pii.yaml')).current();
  const tagsOf = createTagLookup(policy);
  const at = (sql: string) =>
    analyse(sql, {
      catalog: snapshot,
      resolution: { searchPath: ['public'], tempRelations: [], login: 'app' },
      tagsOf,
      trustedFunctions: policy.trustedFunctions,
    });
  return {
    server,
    async client(database) {
      const client = new pg.Client({ connectionString: server.url(database) });
      client.on('error', () => undefined);
      await client.connect();
      clients.push(client);
      return client;
    },
    analyse: at,
    judge(sql, setup = '') {
      const path = /search_path\s*=\s*([\w, ]+)/.exec(setup)?.[1]?.split(/\s*,\s*/);
      const temporary = [...setup.matchAll(/TEMP TABLE (\w+)/g)].map((match) => match[1] ?? '');
      // Other set-up is DDL of an open transaction: the gateway passes on what it changed.
      const before = /^(?:CREATE(?! TEMP)|ALTER|DO)/.test(setup) ? at(setup) : null;
      const changed = before?.kind === 'facts' ? before.statements.flatMap((one) => one.changes ?? []) : [];
      const analysis = analyse(sql, {
        catalog: snapshot,
        resolution: { searchPath: path ?? ['public'], tempRelations: temporary, login: 'app', changed },
        tagsOf,
        trustedFunctions: policy.trustedFunctions,
      });
      return {
        facts: analysis.kind === 'facts' ? analysis : null,
        verdict: evaluate(policy, analysis, context()),
      };
    },
    async stop() {
      await Promise.all(clients.map((client) => client.end().catch(() => undefined)));
      await server.stop();
    },
  };
}

async function catalogOf(server: TestPostgres, database: string): Promise<CatalogSnapshot> {
  const login = { user: server.superuser, password: server.password };
  const target = {
    name: database,
    environment: 'test',
    host: server.host,
    port: server.port,
    database,
    tls: 'disable',
    ca: null,
    logins: { admin: login },
    catalogLogin: login,
    acceptPrivileges: [],
    protocol: 'strict',
  } as const;
  const catalog = createCatalog({ now: Date.now, connect: () => connectCatalog(target, login) });
  try {
    return (await catalog.ensure()).snapshot;
  } finally {
    await catalog.close();
  }
}
