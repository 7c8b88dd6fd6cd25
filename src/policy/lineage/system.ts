/**
 * Places outside user tables where tagged values turn up (LIBRARIES.md "Lineage"): planner statistics keep samples of columns,
 * activity views keep the text of other people's statements, large objects have no columns at all.
 * They count as sources of every tag of the database as soon as one column carries a tag.
 */
interface SystemSource {
  /** Columns that hold values; null: any. */
  readonly sensitive: readonly string[] | null;
  readonly safe: readonly string[];
}

const SOURCES: ReadonlyMap<string, SystemSource> = new Map<string, SystemSource>([
  [
    'pg_stats',
    {
      sensitive: null,
      safe: [
        'schemaname',
        'tablename',
        'attname',
        'inherited',
        'null_frac',
        'avg_width',
        'n_distinct',
        'correlation',
      ],
    },
  ],
  [
    'pg_statistic',
    {
      sensitive: null,
      safe: ['starelid', 'staattnum', 'stainherit', 'stanullfrac', 'stawidth', 'stadistinct'],
    },
  ],
  [
    'pg_stats_ext',
    {
      sensitive: null,
      safe: [
        'schemaname',
        'tablename',
        'statistics_schemaname',
        'statistics_name',
        'statistics_owner',
        'attnames',
        'exprs',
        'kinds',
        'inherited',
        'n_distinct',
        'dependencies',
      ],
    },
  ],
  [
    'pg_stats_ext_exprs',
    {
      sensitive: null,
      safe: [
        'schemaname',
        'tablename',
        'statistics_schemaname',
        'statistics_name',
        'statistics_owner',
        'expr',
        'inherited',
        'null_frac',
        'avg_width',
        'n_distinct',
        'correlation',
      ],
    },
  ],
  [
    'pg_statistic_ext_data',
    { sensitive: null, safe: ['stxoid', 'stxdinherit', 'stxdndistinct', 'stxddependencies'] },
  ],
  // How many rows the transaction has gone through.
  ...['all', 'sys', 'user'].map((of): [string, SystemSource] => [
    `pg_stat_xact_${of}_tables`,
    { sensitive: null, safe: ['relid', 'schemaname', 'relname'] },
  ]),
  ['pg_largeobject', { sensitive: null, safe: ['loid', 'pageno'] }],
  // Credentials.
  ['pg_authid', { sensitive: ['rolpassword'], safe: [] }],
  ['pg_shadow', { sensitive: ['passwd'], safe: [] }],
  ['pg_user_mapping', { sensitive: ['umoptions'], safe: [] }],
  ['pg_user_mappings', { sensitive: ['umoptions'], safe: [] }],
  ['pg_subscription', { sensitive: ['subconninfo'], safe: [] }],
  ['pg_stat_activity', { sensitive: ['query'], safe: [] }],
  ['pg_stat_statements', { sensitive: ['query'], safe: [] }],
  ['pg_prepared_statements', { sensitive: ['statement'], safe: [] }],
  ['pg_cursors', { sensitive: ['statement'], safe: [] }],
]);

/** Harmless to call, but what they are given can be read back elsewhere: settings, notifications, sequences, pg_locks, random(). */
export const CARRYING_FUNCTIONS: ReadonlySet<string> = new Set([
  'set_config',
  'pg_notify',
  'setval',
  'setseed',
  ...['', 'try_'].flatMap((how) =>
    ['', 'xact_'].flatMap((scope) => ['', '_shared'].map((mode) => `pg_${how}advisory_${scope}lock${mode}`)),
  ),
]);

/** Built-in aggregates, as far as they may be made of constants. */
export const AGGREGATES: ReadonlySet<string> = new Set([
  'array_agg',
  'avg',
  'bit_and',
  'bit_or',
  'bit_xor',
  'json_agg',
  'json_object_agg',
  'jsonb_agg',
  'jsonb_object_agg',
  'string_agg',
  'sum',
  'xmlagg',
]);

/** Built-in functions that give another value each time. */
export const BY_ROW: ReadonlySet<string> = new Set([
  'clock_timestamp',
  'gen_random_uuid',
  'nextval',
  'random',
  'random_normal',
  'timeofday',
  'uuidv4',
  'uuidv7',
]);

/** Built-in functions that return sets and are given values. */
export const SETS: ReadonlySet<string> = new Set([
  '_pg_expandarray',
  'aclexplode',
  'generate_series',
  'generate_subscripts',
  'json_array_elements',
  'json_array_elements_text',
  'json_each',
  'json_each_text',
  'json_object_keys',
  'json_populate_recordset',
  'json_to_recordset',
  'jsonb_array_elements',
  'jsonb_array_elements_text',
  'jsonb_each',
  'jsonb_each_text',
  'jsonb_object_keys',
  'jsonb_path_query',
  'jsonb_path_query_tz',
  'jsonb_populate_recordset',
  'jsonb_to_recordset',
  'pg_mcv_list_items',
  'pg_options_to_table',
  'pg_snapshot_xip',
  'regexp_matches',
  'regexp_split_to_table',
  'string_to_table',
  'ts_debug',
  'ts_parse',
  'ts_stat',
  'ts_token_type',
  'txid_snapshot_xip',
  'unnest',
]);

/** Built-in functions whose result may hold tagged values. */
export const REVEALING_FUNCTIONS: ReadonlySet<string> = new Set([
  'pg_stat_get_activity',
  'pg_stat_get_backend_activity',
  'pg_stat_statements',
  'pg_mcv_list_items',
  'lo_get',
  'loread',
  'lo_export',
  'pg_read_file',
  'pg_read_binary_file',
  'query_to_xml',
  'table_to_xml',
  'schema_to_xml',
  'database_to_xml',
  'cursor_to_xml',
  'query_to_xml_and_xmlschema',
  'table_to_xml_and_xmlschema',
  'schema_to_xml_and_xmlschema',
  'database_to_xml_and_xmlschema',
  'ts_stat',
  'ts_rewrite',
  'current_query',
  'pg_logical_slot_get_changes',
  'pg_logical_slot_peek_changes',
  'pg_logical_slot_get_binary_changes',
  'pg_logical_slot_peek_binary_changes',
]);

export function isRevealing(relation: string): boolean {
  return SOURCES.has(relation);
}

/** May this column (null: all of them) of the system relation hold tagged values? */
export function reveals(relation: string, column: string | null): boolean {
  const source = SOURCES.get(relation);
  if (source === undefined) return false;
  if (column === null) return true;
  return source.sensitive === null ? !source.safe.includes(column) : source.sensitive.includes(column);
}

/** Columns of every relation that are never tagged. */
export const SYSTEM_COLUMNS: ReadonlySet<string> = new Set([
  'ctid',
  'xmin',
  'xmax',
  'cmin',
  'cmax',
  'tableoid',
  'oid',
]);
