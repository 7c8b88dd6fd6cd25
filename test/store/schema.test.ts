import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { bindMigrationAwareSqlAdapterFactory } from '@prisma/driver-adapter-utils';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { migrate } from '../../src/store/migrate.ts';
import { type TestPostgres, testPostgres } from '../support/postgres.ts';

const FILE = fileURLToPath(new URL('../../prisma/schema.prisma', import.meta.url));
const schema = readFileSync(FILE, 'utf8');
let postgres: TestPostgres;
let engine: Promise<Engine> | undefined;

/**
 * The SQL that Prisma itself would write for a schema, from its schema engine as WebAssembly (the native one cannot be had
 * offline). The engine insists on a connection but asks nothing of it; introspecting a live one fails in adapter-pg (type "char").
 */
async function sqlOf(datamodel: string): Promise<string> {
  // Its glue is one module with one memory: loaded once.
  engine ??= loadEngine();
  const { stdout } = await (await engine).diff({
    from: { tag: 'empty' },
    to: { tag: 'schemaDatamodel', files: [{ path: 'schema.prisma', content: datamodel }] },
    script: true,
    exitCode: true,
    shadowDatabaseUrl: null,
    filters: { externalTables: [], externalEnums: [] },
  });
  return stdout;
}

interface Engine {
  diff(params: object): Promise<{ readonly stdout: string }>;
}
interface Glue {
  __wbg_set_wasm(exports: object): void;
  readonly SchemaEngine: { new: (options: object, log: () => void, adapter: object) => Promise<Engine> };
}
/** The part of WebAssembly used here; its types are in the DOM's library, which this project does not load. */
interface Wasm {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (
    module: object,
    imports: object,
  ) => { readonly exports: { __wbindgen_start(): void } };
}

async function loadEngine(): Promise<Engine> {
  const path = createRequire(import.meta.url).resolve('@prisma/schema-engine-wasm/schema_engine_bg');
  const glue: Glue = await import(path);
  const { Module, Instance }: Wasm = Reflect.get(globalThis, 'WebAssembly');
  const { exports } = new Instance(new Module(readFileSync(path.replace(/\.js$/, '.wasm'))), {
    './schema_engine_bg.js': glue,
  });
  glue.__wbg_set_wasm(exports);
  exports.__wbindgen_start();
  const refuse = async (): Promise<never> => {
    throw new Error('there is no database here');
  };
  const nowhere = bindMigrationAwareSqlAdapterFactory({
    provider: 'postgres',
    adapterName: 'nowhere',
    connectToShadowDb: refuse,
    connect: async () => ({
      provider: 'postgres',
      adapterName: 'nowhere',
      getConnectionInfo: () => ({ schemaName: 'public', supportsRelationJoins: true }),
      queryRaw: async () => ({ columnTypes: [], columnNames: [], rows: [] }),
      executeRaw: async () => 0,
      executeScript: refuse,
      startTransaction: refuse,
      dispose: async () => undefined,
    }),
  });
  return glue.SchemaEngine.new({ datamodels: [['schema.prisma', schema]] }, () => undefined, nowhere);
}

/** Everything that a schema can say of a database, as PostgreSQL itself describes it. */
async function shapeOf(database: string): Promise<readonly string[]> {
  const { rows } = await postgres.query(
    database,
    `SELECT format('column %s.%s %s not null %s default %s', c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
        pg_get_expr(d.adbin, d.adrelid)) AS line
      FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
      WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped
        AND c.relname <> '_prisma_migrations'
     UNION ALL SELECT 'index ' || indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename <> '_prisma_migrations'
     UNION ALL SELECT format('constraint %s %s %s', conrelid::regclass, conname, pg_get_constraintdef(oid)) FROM pg_constraint
      WHERE connamespace = 'public'::regnamespace AND conrelid::regclass::text <> '_prisma_migrations'
     UNION ALL SELECT format('enum %s %s %s', enumtypid::regtype, row_number() OVER (PARTITION BY enumtypid ORDER BY enumsortorder), enumlabel) FROM pg_enum
     ORDER BY 1`,
  );
  return rows.map((row) => row.line);
}

async function shapeOfSchema(database: string, datamodel: string): Promise<readonly string[]> {
  await postgres.createDatabase(database);
  await postgres.query(database, await sqlOf(datamodel));
  return shapeOf(database);
}

let migrated: readonly string[];
beforeAll(async () => {
  postgres = await testPostgres();
  await postgres.createDatabase('migrated');
  await migrate(postgres.url('migrated'));
  migrated = await shapeOf('migrated');
});
afterAll(() => postgres?.stop());

it('the migrations make the database that schema.prisma describes', async () => {
  expect(migrated.length).toBeGreaterThan(100);
  expect(migrated).toEqual(await shapeOfSchema('described', schema));
});

it('a column, or the condition of an index, that only the schema has is noticed', async () => {
  const column = schema.replace('@default(now()) @map("queued_at")', '@map("queued_at")');
  const index = schema.replace(`raw("state = 'pending' AND b`, `raw("state = 'granted' AND b`);
  for (const [name, changed] of Object.entries({ column, index })) {
    expect(changed).not.toBe(schema);
    expect(migrated).not.toEqual(await shapeOfSchema(name, changed));
  }
});
