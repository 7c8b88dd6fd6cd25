import { fileURLToPath } from 'node:url';
import { defineConfig } from 'prisma/config';

// Every Prisma command first looks for its native schema engine and downloads it when it is missing. Generating, validating
// and formatting do not use it, so they are shown an existing file that is no program; commands that do use it are left alone
// (with a stand-in that exits 0, `prisma migrate` would report success having done nothing).
const OFFLINE = new Set(['generate', 'validate', 'format']);
if (process.argv.slice(2).some((word) => OFFLINE.has(word))) {
  process.env['PRISMA_SCHEMA_ENGINE_BINARY'] ??= fileURLToPath(
    new URL('prisma/schema.prisma', import.meta.url),
  );
}
process.env['PRISMA_HIDE_UPDATE_MESSAGE'] ??= '1';

const url = process.env['DATABASE_URL'];

export default defineConfig({
  schema: 'prisma/schema.prisma',
  migrations: { path: 'prisma/migrations' },
  ...(url === undefined ? {} : { datasource: { url } }),
});
