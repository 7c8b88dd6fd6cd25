import { splitName } from '../parse/node.ts';

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
  // How large what a cursor has sorted is.
  [
    'pg_backend_memory_contexts',
    { sensitive: null, safe: ['name', 'ident', 'type', 'level', 'path', 'parent'] },
  ],
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

/** Harmless to call, but what they are given can be read back elsewhere: settings, notifications, sequences, pg_locks, random(), the clock. */
export const CARRYING_FUNCTIONS: ReadonlySet<string> = new Set([
  'set_config',
  'pg_notify',
  'setval',
  'setseed',
  'pg_sleep',
  'pg_sleep_for',
  'pg_sleep_until',
  ...['lock', 'unlock', 'xact_lock'].flatMap((what) =>
    ['', 'try_'].flatMap((how) => ['', '_shared'].map((mode) => `pg_${how}advisory_${what}${mode}`)),
  ),
]);

/** Called by whatever stands for it: an operator, an aggregate made of it. */
export const carries = (full: string): boolean => {
  const [schema, name] = splitName(full);
  return schema === 'pg_catalog' && (CARRYING_FUNCTIONS.has(name) || looksUp(name));
};

/** Functions of the server that look for something by what they are given. It stays locked until the transaction ends, and pg_locks shows it. */
export const looksUp = (name: string): boolean => LOOKING_UP.test(name) && !OF_ITS_ARGUMENT.has(name);

const LOOKING_UP =
  /^(?:pg_|to_reg|has_.*_privilege$|(?:col|obj|shobj)_description$|(?:currval|current_setting|row_security_active|txid_status)$)/;
const OF_ITS_ARGUMENT: ReadonlySet<string> = new Set(
  'pg_collation_for pg_column_compression pg_column_size pg_column_toast_chunk_id pg_input_error_info pg_input_is_valid pg_size_bytes pg_size_pretty pg_typeof'.split(
    ' ',
  ),
);

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

/** Built-in functions that return sets, of every major: the rows that they make are known to the session. */
export const SETS: ReadonlySet<string> = new Set(
  `
    _pg_expandarray aclexplode generate_series generate_subscripts json_array_elements
    json_array_elements_text json_each json_each_text json_object_keys json_populate_recordset
    json_to_recordset jsonb_array_elements jsonb_array_elements_text jsonb_each jsonb_each_text
    jsonb_object_keys jsonb_path_query jsonb_path_query_tz jsonb_populate_recordset jsonb_to_recordset
    pg_available_extension_versions pg_available_extensions pg_available_wal_summaries pg_config pg_cursor
    pg_event_trigger_ddl_commands pg_event_trigger_dropped_objects pg_extension_update_paths pg_get_aios
    pg_get_backend_memory_contexts pg_get_catalog_foreign_keys pg_get_keywords pg_get_loaded_modules
    pg_get_multixact_members pg_get_publication_tables pg_get_replication_slots pg_get_shmem_allocations
    pg_get_shmem_allocations_numa pg_get_wait_events pg_get_wal_resource_managers pg_hba_file_rules
    pg_ident_file_mappings pg_listening_channels pg_lock_status pg_logical_slot_get_binary_changes
    pg_logical_slot_get_changes pg_logical_slot_peek_binary_changes pg_logical_slot_peek_changes
    pg_ls_archive_statusdir pg_ls_dir pg_ls_logdir pg_ls_logicalmapdir pg_ls_logicalsnapdir pg_ls_replslotdir
    pg_ls_summariesdir pg_ls_tmpdir pg_ls_waldir pg_mcv_list_items pg_options_to_table pg_partition_ancestors
    pg_partition_tree pg_prepared_statement pg_prepared_xact pg_show_all_file_settings pg_show_all_settings
    pg_show_replication_origin_status pg_snapshot_xip pg_stat_get_activity pg_stat_get_backend_idset
    pg_stat_get_backend_io pg_stat_get_io pg_stat_get_progress_info pg_stat_get_recovery_prefetch
    pg_stat_get_slru pg_stat_get_subscription pg_stat_get_wal_senders pg_tablespace_databases
    pg_timezone_abbrevs pg_timezone_abbrevs_abbrevs pg_timezone_abbrevs_zone pg_timezone_names
    pg_wal_summary_contents regexp_matches regexp_split_to_table string_to_table ts_debug ts_parse ts_stat
    ts_token_type txid_snapshot_xip unnest
  `
    .trim()
    .split(/\s+/),
);

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
