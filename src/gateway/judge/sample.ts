/**
 * A bounded sample of a target's values for `policy suggest`: read only, by the catalog's or the read-only login, on a connection of its
 * own. Only plain columns of tables are read: nothing of the database's own code runs. The values stay in this process.
 */
import { z } from 'zod';
import type { SampledColumn, SampledTable } from '../../policy/suggest.ts';
import type { Target } from '../types.ts';
import { type CatalogConnection, catalogLogin, connectCatalog } from './catalog-connection.ts';

export interface Sampled {
  readonly tables: readonly SampledTable[];
  readonly unread: readonly string[];
  readonly partial: boolean;
}

const ROWS = 300;
const MAX_TABLES = 1000;
const MAX_COLUMNS = 100;
const MAX_CHARACTERS = 400;
const BUDGET_MS = 20_000;

const BEGIN = `begin read only;
set local search_path = '';
set local statement_timeout = '2s';
set local lock_timeout = '100ms';
set local row_security = off`;

/** Tables and materialised views; partitions come with their parent. Columns that PostgreSQL computes when read are left out. */
const TABLES = `select coalesce(pg_catalog.json_agg(x), '[]') as value from (
  select n.nspname as schema, c.relname as name, c.reltuples::float8 as rows,
    (select coalesce(pg_catalog.json_agg(pg_catalog.json_build_object('name', a.attname, 'category', b.typcategory::text,
        'comment', pg_catalog.col_description(c.oid, a.attnum),
        'readable', a.attgenerated <> 'v' and (b.typnamespace = 'pg_catalog'::regnamespace or b.typname = 'citext')
          and (b.typcategory in ('S', 'N', 'I') or b.typname in ('json', 'jsonb', 'citext'))) order by a.attnum), '[]')
      from pg_catalog.pg_attribute a join pg_catalog.pg_type t on t.oid = a.atttypid
        join pg_catalog.pg_type b on b.oid = case when t.typtype = 'd' and t.typbasetype <> 0 then t.typbasetype else t.oid end
      where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as columns
  from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'p', 'm') and not c.relispartition and c.relpersistence <> 't' and c.oid >= 16384
    and n.nspname <> 'information_schema' and n.nspname not like 'pg\\_%'
  order by 1, 2 limit ${MAX_TABLES + 1}) x`;
const tablesShape = z.array(
  z.object({
    schema: z.string(),
    name: z.string(),
    rows: z.number(),
    columns: z.array(
      z.object({
        name: z.string(),
        category: z.string(),
        comment: z.string().nullable(),
        readable: z.boolean(),
      }),
    ),
  }),
);
type Found = z.infer<typeof tablesShape>[number];
const cellShape = z.object({ value: z.unknown() });
const rowsShape = z.array(z.array(z.string().nullable()));

/** Rejects when the target cannot be reached. */
export async function sampleTarget(target: Target): Promise<Sampled> {
  const login = target.logins['read-only'] ?? catalogLogin(target);
  if (login === null) throw new Error(`target ${target.name} has no upstream login to read with`);
  const link = await connectCatalog(target, login);
  try {
    await link.query(BEGIN);
    const found = tablesShape.parse(cellShape.parse((await link.query(TABLES))[0]).value);
    const deadline = performance.now() + BUDGET_MS;
    const tables: SampledTable[] = [];
    const unread: string[] = [];
    for (const table of found.slice(0, MAX_TABLES)) {
      const columns = performance.now() > deadline ? null : await read(link, table);
      if (columns === null) unread.push(`${table.schema}.${table.name}`);
      tables.push({ ...table, columns: columns ?? table.columns.map((one) => ({ ...one, values: null })) });
    }
    return { tables, unread, partial: found.length > MAX_TABLES || performance.now() > deadline };
  } finally {
    link.close();
  }
}

/** null: not allowed, locked, under row security, or too slow. */
async function read(link: CatalogConnection, table: Found): Promise<readonly SampledColumn[] | null> {
  const readable = table.columns.filter((one) => one.readable).slice(0, MAX_COLUMNS);
  if (readable.length === 0) return table.columns.map((one) => ({ ...one, values: null }));
  // What comes first is often the oldest: of a large table, pages from all over it.
  const share = (100 * ROWS * 4) / table.rows;
  const rows =
    (share < 50 ? await rowsOf(link, table, readable, ` tablesample system (${share.toFixed(6)})`) : []) ??
    [];
  const all = rows.length > 0 ? rows : await rowsOf(link, table, readable, '');
  if (all === null) return null;
  return table.columns.map((column) => {
    const i = readable.indexOf(column);
    if (i < 0) return { ...column, values: null };
    return { ...column, values: all.flatMap((row) => row[i] ?? []).filter((value) => value.trim() !== '') };
  });
}

async function rowsOf(
  link: CatalogConnection,
  { schema, name }: Found,
  columns: Found['columns'],
  sample: string,
): Promise<readonly (readonly (string | null)[])[] | null> {
  const list = columns
    .map((one) => `pg_catalog.left(${quoted(one.name)}::text, ${MAX_CHARACTERS})`)
    .join(', ');
  try {
    await link.query('savepoint holdpoint');
    const answer = await link.query(
      `select coalesce(pg_catalog.json_agg(x.v), '[]') as value from (
         select pg_catalog.json_build_array(${list}) as v from ${quoted(schema)}.${quoted(name)}${sample} limit ${ROWS}) x`,
    );
    return rowsShape.parse(cellShape.parse(answer[0]).value);
  } catch {
    await link.query('rollback to holdpoint');
    return null;
  }
}

const quoted = (name: string): string => `"${name.replace(/"/g, '""')}"`;
