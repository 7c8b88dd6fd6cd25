/** Every function of the extensions that facts/extensions.ts lists, as the installed ones have them: none that acts is believed. */
import { existsSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EXTENSION_FUNCTIONS } from '../../src/policy/facts/extension-functions.ts';
import { onlyComputes } from '../../src/policy/facts/extensions.ts';
import { SETS } from '../../src/policy/lineage/system.ts';
import type { CatalogFunction } from '../../src/policy/types.ts';
import { type TestPostgres, testPostgres } from '../support/postgres.ts';
import { majors } from './corpus/real.ts';

const fn = (
  extension: string | null,
  name: string,
  more: Partial<CatalogFunction> = {},
): CatalogFunction => ({
  oid: 20_000,
  schema: 'public',
  name,
  language: 'c',
  kind: 'f',
  volatility: 'i',
  body: null,
  config: [],
  securityDefiner: false,
  extension,
  calls: [],
  ...more,
});

describe('functions of extensions', () => {
  it.each([
    ['postgis', 'st_fromflatgeobuftotable'],
    ['postgis', 'st_fromflatgeobuf'],
    ['postgis', 'st_estimatedextent'],
    ['postgis', 'addgeometrycolumn'],
    ['isn', 'isn_weak'],
    ['tablefunc', 'crosstab'],
    ['pg_trgm', 'set_limit'],
    ['dblink', 'dblink'],
    ['xml2', 'xpath_table'],
    ['xml2', 'xslt_process'],
    ['postgis', 'made_up_later'],
    ['postgis_raster', 'st_value'],
    [null, 'st_area'],
  ])('%s: %s is not believed, whatever it says of itself', (extension, name) => {
    expect(onlyComputes(fn(extension, name))).toBe(false);
  });

  it.each([
    ['postgis', 'st_intersects'],
    ['postgis', 'st_asgeojson'],
    ['vector', 'cosine_distance'],
    ['isn', 'is_valid'],
    ['pgcrypto', 'digest'],
    ['xml2', 'xpath_string'],
    ['tsm_system_rows', 'system_rows'],
  ])('%s: %s only computes', (extension, name) => {
    expect(onlyComputes(fn(extension, name))).toBe(true);
  });

  it('what is written in a language whose names the caller can bend is not believed', () => {
    expect(onlyComputes(fn('postgis', 'st_area', { language: 'plpgsql' }))).toBe(false);
  });
});

interface Row {
  readonly extension: string;
  readonly name: string;
  readonly language: string;
  readonly volatility: 'i' | 's' | 'v';
  readonly args: string;
  readonly result: string;
  readonly sets: boolean;
}
const FUNCTIONS = `select e.extname as extension, p.proname as name, l.lanname as language, p.provolatile as volatility,
    pg_get_function_arguments(p.oid) as args, format_type(p.prorettype, null) as result, p.proretset as sets
  from pg_depend d join pg_extension e on e.oid = d.refobjid join pg_proc p on p.oid = d.objid join pg_language l on l.oid = p.prolang
  where d.classid = 'pg_proc'::regclass and d.deptype = 'e' order by 1, 2, 5`;

/** Reviewed: they are not IMMUTABLE and compute all the same, or give out rows. */
const REVIEWED = new Set(
  `hstore_to_json hstore_to_jsonb hstore_to_json_loose hstore_to_jsonb_loose populate_record pg_stat_statements pg_stat_statements_info
  gen_salt gen_random_bytes gen_random_uuid pgp_sym_encrypt pgp_sym_encrypt_bytea pgp_pub_encrypt pgp_pub_encrypt_bytea normal_rand unaccent
  uuid_generate_v1 uuid_generate_v1mc uuid_generate_v4 show_limit similarity_op word_similarity_op word_similarity_commutator_op
  word_similarity_dist_op word_similarity_dist_commutator_op strict_word_similarity_op strict_word_similarity_commutator_op
  strict_word_similarity_dist_op strict_word_similarity_dist_commutator_op each pgp_armor_headers st_asgeojson st_hexagongrid st_squaregrid
  st_maximuminscribedcircle st_minimumboundingradius st_generatepoints uuid_generate_v3 uuid_generate_v5
  xml_valid ssl_cipher ssl_client_cert_present ssl_client_dn ssl_client_dn_field ssl_client_serial ssl_extension_info ssl_is_used ssl_issuer_dn
  ssl_issuer_field ssl_version`.split(/\s+/),
);
/** IMMUTABLE, callable, and not believed: each for a reason that stands in facts/extension-functions.ts. */
const REFUSED = new Set(['isn_weak', 'st_fromflatgeobuftotable', 'st_fromflatgeobuf', 'xslt_process']);

const directory: Readonly<Record<number, string>> = { 15: '/usr/share/postgresql/15/extension' };

describe.each(majors)('as PostgreSQL $major has them', ({ major, here }) => {
  const folder = directory[major];
  const postgis = folder !== undefined && existsSync(`${folder}/postgis.control`);
  let server: TestPostgres;
  let rows: readonly Row[] = [];
  beforeAll(async () => {
    if (!here) return;
    server = await testPostgres({}, major);
    await server.createDatabase('extended');
    const listed = Object.keys(EXTENSION_FUNCTIONS);
    const available = await server.query(
      'extended',
      'select name from pg_available_extensions where name = any($1)',
      [listed],
    );
    for (const { name } of available.rows)
      await server.query('extended', `create extension "${name}" cascade`);
    rows = (await server.query('extended', FUNCTIONS)).rows;
  });
  afterAll(() => server?.stop());

  it.skipIf(!here)('every built-in that returns a set is known to make rows', async () => {
    const sets = await server.query(
      'extended',
      "select distinct proname from pg_proc where proretset and pronamespace = 'pg_catalog'::regnamespace",
    );
    expect(sets.rows.map(({ proname }) => proname).filter((name) => !SETS.has(name))).toEqual([]);
  });

  const called = ({ args, result }: Row): boolean =>
    !/\b(?:internal|cstring)\b/.test(`${args} ${result}`) && !/^\w*_handler$/.test(result);
  const believed = (row: Row): boolean =>
    onlyComputes(fn(row.extension, row.name, { language: row.language, volatility: row.volatility }));

  it.skipIf(!here)(
    'nothing that is believed writes, names objects or says that it does more than compute',
    () => {
      expect(rows.length).toBeGreaterThan(900);
      const odd = rows.filter(
        (row) =>
          called(row) &&
          believed(row) &&
          !REVIEWED.has(row.name) &&
          (row.volatility !== 'i' ||
            row.result === 'void' ||
            row.result === 'record' ||
            /\breg\w+|\bname\b/.test(row.args)),
      );
      expect(odd.map(({ extension, name, args }) => `${extension}: ${name}(${args})`)).toEqual([]);
    },
  );

  it.skipIf(!here)('what is IMMUTABLE and not believed is known by name', () => {
    const missed = rows.filter(
      (row) =>
        row.extension in EXTENSION_FUNCTIONS &&
        called(row) &&
        row.volatility === 'i' &&
        row.language !== 'plpgsql' &&
        !believed(row) &&
        !REFUSED.has(row.name),
    );
    expect(missed.map(({ extension, name, args }) => `${extension}: ${name}(${args})`)).toEqual([]);
  });

  it.skipIf(!here || !postgis)('PostGIS is among them (where its package is installed)', () => {
    expect(rows.some(({ name }) => name === 'st_fromflatgeobuftotable')).toBe(true);
  });
});
