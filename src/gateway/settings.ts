/**
 * The one allow-list of settings, for startup, `options=-c`, SET and set_config (DESIGN.md 15). What is not listed is refused: a setting can
 * change what the same text does (WIRE.md "Query flow", "Evasion").
 */
import { randomUUID } from 'node:crypto';
import type { SettingChange } from '../policy/types.ts';

const ALLOWED: ReadonlySet<string> = new Set(
  `application_name array_nulls backend_flush_after bytea_output check_function_bodies client_connection_check_interval client_min_messages
  commit_delay constraint_exclusion cpu_index_tuple_cost cpu_operator_cost cpu_tuple_cost cursor_tuple_fraction datestyle
  default_statistics_target default_table_access_method default_text_search_config default_transaction_deferrable
  default_transaction_isolation default_transaction_read_only effective_cache_size effective_io_concurrency escape_string_warning
  extra_float_digits from_collapse_limit geqo hash_mem_multiplier idle_in_transaction_session_timeout idle_session_timeout intervalstyle
  jit jit_above_cost join_collapse_limit lc_monetary lc_numeric lc_time lock_timeout maintenance_work_mem max_parallel_workers_per_gather
  parallel_setup_cost parallel_tuple_cost parallel_leader_participation plan_cache_mode quote_all_identifiers random_page_cost
  restrict_nonsystem_relation_kind row_security search_path seed seq_page_cost statement_timeout synchronize_seqscans synchronous_commit tcp_keepalives_idle
  tcp_keepalives_interval tcp_user_timeout temp_buffers timezone transaction_deferrable transaction_isolation transaction_read_only
  transaction_timeout work_mem xmlbinary xmloption`.split(/\s+/),
);
const ENABLE = /^enable_[a-z_]+$/;
/** Change what the gateway reads or where names resolve: after them nothing goes out until they are acknowledged. */
const CONTEXT: ReadonlySet<string> = new Set(['search_path', 'role', 'session_authorization', '*']);
/** Besides those that the server reports: the same text has other constants, other conversions, other rows under another value. */
export const MEANING = [
  'array_nulls',
  'bytea_output',
  'default_text_search_config',
  'extra_float_digits',
  'lc_monetary',
  'lc_numeric',
  'lc_time',
  'quote_all_identifiers',
  'row_security',
  'xmlbinary',
  'xmloption',
] as const;
const MEANS: ReadonlySet<string> = new Set([...MEANING, 'search_path', '*']);
const UTF8 = /^utf-?8$/i;
const ON = /^(on|true|yes|1|t|y)$/i;

const isDotted = (name: string): boolean => name.includes('.') && !name.startsWith('holdpoint.');
/** Of the target's own making (`app.tenant`, `app.*`): only what its configuration names. */
const isCustom = (name: string, custom: readonly string[]): boolean =>
  isDotted(name) &&
  custom.some((one) => (one.endsWith('.*') ? name.startsWith(one.slice(0, -1)) : one === name));

/** null: fine; else why not, to be read after "Setting x …". */
export function refuseSetting(
  change: SettingChange,
  trusted: boolean,
  custom: readonly string[] = [],
): string | null {
  const name = change.name.toLowerCase();
  if (name === 'client_encoding')
    return change.form === 'reset' || (change.value !== null && UTF8.test(change.value.replaceAll("'", '')))
      ? null
      : 'stays UTF8 behind Holdpoint';
  if (trusted) return null;
  if (name === 'standard_conforming_strings')
    return change.form === 'reset' || (change.value !== null && ON.test(change.value))
      ? null
      : 'stays on behind Holdpoint';
  // RESET brings back what the gateway set at startup.
  if (change.form === 'reset') return null;
  if (
    name === 'row_security' &&
    change.value !== null &&
    !/^(on|off|true|false|yes|no|1|0)$/i.test(change.value)
  )
    return 'takes on or off';
  // Any other value, 'default' in quotes too, is a role's name.
  if (name === 'role' && change.value === 'none') return null;
  if (name === 'holdpoint.ahead') return 'is given at startup, for the whole session';
  if (ALLOWED.has(name) || ENABLE.test(name) || name.startsWith('holdpoint.')) return null;
  if (isCustom(name, custom)) return null;
  if (name === 'names') return 'stays UTF8 behind Holdpoint';
  return 'may not be changed behind Holdpoint';
}

/** Said at startup, for the whole session: a later SET must not make a session run what it was to ask. */
export const asksAhead = (startup: ReadonlyMap<string, string>): boolean =>
  ON.test(startup.get('holdpoint.ahead') ?? '');

/** What was approved under one value of it is not known again under another. */
export const changesMeaning = ({ name }: SettingChange): boolean => means(name.toLowerCase());
const means = (name: string): boolean => MEANS.has(name) || isDotted(name);

export const changesContext = (change: SettingChange): boolean => CONTEXT.has(change.name.toLowerCase());

/** Protocol parameters, not settings. */
const STARTUP_OWN: ReadonlySet<string> = new Set(['user', 'database', 'options', 'replication']);

export type StartupSettings =
  | {
      readonly kind: 'ok';
      /** For the upstream's startup message, lower-case names. */
      readonly settings: ReadonlyMap<string, string>;
      readonly holdpoint: ReadonlyMap<string, string>;
      readonly applicationName: string | null;
    }
  | { readonly kind: 'refused'; readonly name: string };

export function startupSettings(
  parameters: ReadonlyMap<string, string>,
  trusted: boolean,
  custom: readonly string[] = [],
): StartupSettings {
  const settings = new Map<string, string>();
  const holdpoint = new Map<string, string>();
  let applicationName: string | null = null;
  const given: (readonly [string, string])[] = [];
  for (const [name, value] of parameters) if (!STARTUP_OWN.has(name)) given.push([name.toLowerCase(), value]);
  const options = splitOptions(parameters.get('options') ?? '');
  if (options === null) return { kind: 'refused', name: 'options' };
  // The server applies `options` first, then the named parameters.
  for (const [name, value] of [...options, ...given]) {
    if (name === 'application_name') applicationName = value;
    else if (name === 'fallback_application_name') applicationName ??= value;
    else if (name === 'client_encoding') {
      // Whatever is asked for, UTF8 is used and reported (WIRE.md: psql under LANG=C asks for SQL_ASCII).
    } else if (name.startsWith('holdpoint.')) holdpoint.set(name, value);
    else if (refuseSetting({ name, value, local: false, form: 'set' }, trusted, custom) !== null)
      return { kind: 'refused', name };
    else if (name !== 'standard_conforming_strings') settings.set(name, value);
  }
  return { kind: 'ok', settings, holdpoint, applicationName };
}

/** `-c name=value`, `-cname=value`, `--name=value`, with backslash escapes as the server's pg_split_opts has them; null for anything else. */
export function splitOptions(options: string): (readonly [string, string])[] | null {
  const words: string[] = [];
  let word: string | null = null;
  for (let i = 0; i < options.length; i++) {
    const char = options.charAt(i);
    if (/\s/.test(char)) {
      if (word !== null) words.push(word);
      word = null;
    } else if (char === '\\') word = (word ?? '') + options.charAt(++i);
    else word = (word ?? '') + char;
  }
  if (word !== null) words.push(word);
  const pairs: (readonly [string, string])[] = [];
  for (let i = 0; i < words.length; i++) {
    const one = words[i] ?? '';
    const text =
      one === '-c' ? words[++i] : one.startsWith('-c') || one.startsWith('--') ? one.slice(2) : undefined;
    const at = text?.indexOf('=') ?? -1;
    if (text === undefined || at <= 0) return null;
    pairs.push([text.slice(0, at).toLowerCase().replaceAll('-', '_'), text.slice(at + 1)]);
  }
  return pairs;
}

/** `25s`, `1500`, `'2min'` → milliseconds, as PostgreSQL reads time settings whose unit is ms; null when not understood. */
export function readDuration(text: string): number | null {
  const match = /^\s*(\d+(?:\.\d+)?)\s*(us|ms|s|min|h|d)?\s*$/.exec(text.replaceAll("'", ''));
  if (match === null) return null;
  const unit = { us: 0.001, ms: 1, s: 1000, min: 60_000, h: 3_600_000, d: 86_400_000 }[match[2] ?? 'ms'] ?? 1;
  return Number(match[1]) * unit;
}

/** Values of settings with the server's transaction rules: SET LOCAL ends with the transaction, SET is undone by a rollback. */
export class SettingValues {
  #base = new Map<string, string>();
  #session = new Map<string, string>();
  #local = new Map<string, string>();
  /** The target's own that the client ever set: what a rollback did to them only the server knows. */
  readonly #own = new Set<string>();
  readonly #initial: ReadonlyMap<string, string>;

  constructor(initial: ReadonlyMap<string, string>) {
    this.#initial = initial;
    for (const name of initial.keys()) if (isDotted(name)) this.#own.add(name);
    this.#base = new Map(initial);
    this.#session = new Map(initial);
  }

  /** What the client set of the target's own settings, in order of their names. */
  custom(): readonly (readonly [string, string])[] {
    const all = [...this.#session, ...this.#local].filter(([name]) => isDotted(name));
    return [...new Map(all)].sort(([a], [b]) => (a < b ? -1 : 1));
  }

  /** As the server says, outside of a transaction. */
  learn(values: Readonly<Record<string, string | null>>): void {
    for (const [name, value] of Object.entries(values))
      for (const map of [this.#base, this.#session])
        if (value === null) map.delete(name);
        else map.set(name, value);
  }

  /** What tells two meanings of one text apart, but for what the server reports. */
  get named(): readonly string[] {
    return [...MEANING, ...this.#own];
  }

  get(name: string): string | null {
    return this.#local.get(name) ?? this.#session.get(name) ?? null;
  }

  apply(change: SettingChange): void {
    const name = change.name.toLowerCase();
    if (name === '*') {
      this.#session = new Map(this.#initial);
      this.#local.clear();
      return;
    }
    if (isDotted(name)) this.#own.add(name);
    // A value that is no literal is like no other: what was approved under it is not known again.
    const said = change.value ?? (means(name) ? randomUUID() : undefined);
    const value = change.form === 'reset' ? this.#initial.get(name) : said;
    const map = change.local ? this.#local : this.#session;
    if (!change.local) this.#local.delete(name);
    if (value === undefined) map.delete(name);
    else map.set(name, value);
  }

  /** ReadyForQuery said idle. */
  transactionEnded(committed: boolean): void {
    this.#local.clear();
    if (committed) this.#base = new Map(this.#session);
    else this.#session = new Map(this.#base);
  }
}
