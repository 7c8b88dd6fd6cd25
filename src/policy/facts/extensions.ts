/**
 * Extensions whose functions only compute: their IMMUTABLE ones all, and the named others. Left out on purpose: what runs SQL given
 * as text (tablefunc's crosstab, xml2's xpath_table, dblink), reads files or pages, or changes the session.
 */
import type { CatalogFunction } from '../types.ts';

const COMPUTING: ReadonlyMap<string, ReadonlySet<string>> = new Map(
  Object.entries({
    btree_gin: '',
    btree_gist: '',
    citext: '',
    cube: '',
    dict_int: '',
    earthdistance: '',
    fuzzystrmatch: '',
    hstore: 'hstore_to_json hstore_to_jsonb hstore_to_json_loose hstore_to_jsonb_loose populate_record',
    intarray: '',
    isn: '',
    ltree: '',
    // Counters, and texts of other people's statements (lineage/system.ts).
    pg_stat_statements: 'pg_stat_statements pg_stat_statements_info',
    pg_trgm:
      'show_limit similarity_op word_similarity_op word_similarity_commutator_op word_similarity_dist_op word_similarity_dist_commutator_op strict_word_similarity_op strict_word_similarity_commutator_op strict_word_similarity_dist_op strict_word_similarity_dist_commutator_op',
    pgcrypto:
      'gen_salt gen_random_bytes gen_random_uuid pgp_sym_encrypt pgp_sym_encrypt_bytea pgp_pub_encrypt pgp_pub_encrypt_bytea',
    postgis: '',
    seg: '',
    tablefunc: 'normal_rand',
    tsm_system_rows: '',
    tsm_system_time: '',
    unaccent: 'unaccent',
    'uuid-ossp': 'uuid_generate_v1 uuid_generate_v1mc uuid_generate_v4',
    vector: '',
  }).map(([name, functions]) => [name, new Set(functions.split(' '))]),
);

export function onlyComputes(fn: CatalogFunction): boolean {
  // Made by CREATE TYPE … AS RANGE. Comparisons of users that they run are among their `calls`.
  if (fn.language === 'internal' && /^(?:multi)?range_constructor\d$/.test(fn.body ?? '')) return true;
  if (fn.extension === null) return false;
  const named = COMPUTING.get(fn.extension);
  return named !== undefined && (fn.volatility === 'i' || named.has(fn.name));
}
