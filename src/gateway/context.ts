/** Where names resolve now, and the settings that give the same text another meaning (DESIGN.md 8, 15, 16). */
import { randomUUID } from 'node:crypto';
import { schemasAfter } from '../policy/facts/path.ts';
import type { ResolutionContext, StatementFacts } from '../policy/types.ts';
import type { Subject } from './draft.ts';
import { innerStatements, outerStatements, type Plan, statementsOf } from './plan.ts';
import { changesContext, changesMeaning, MEANING, SettingValues } from './settings.ts';
import type { LoginFacts } from './upstream/privileges.ts';

const OPAQUE: ReadonlySet<string> = new Set(['call', 'do', 'unknown', 'admin']);
/** They make or change nothing that runs code of its own; what is in them counts as unknown where it does. */
const PLAIN =
  /^(?:CREATE TABLE(?: AS)?|SELECT INTO|SELECT|CREATE INDEX|DROP TABLE|DROP INDEX|COMMENT|INSERT|UPDATE|DELETE)$/;
const ENDS: ReadonlySet<string> = new Set(['commit', 'rollback', 'rollback-to']);
const WEAK_SNAPSHOT = /\b(repeatable\s+read|serializable)\b/i;

/** What a Bind gave. */
export type Given = Pick<Subject, 'values' | 'paramTypes'>;
const NOTHING_GIVEN: Given = { values: [], paramTypes: [] };
const TEXT: ReadonlySet<number> = new Set([25, 1043]);

/**
 * `set_config('search_path', $1, …)`: a text has the same bytes in either format. Of a parameter without a declared type the server makes
 * what it is first used as, so that it counts only where it is used once.
 */
export function withBinds(sql: string, one: StatementFacts, { values, paramTypes }: Given): StatementFacts {
  if (values.length === 0 || one.settings.every(({ bind }) => bind === undefined)) return one;
  const settings = one.settings.map((change) => {
    const { bind } = change;
    if (bind === undefined) return change;
    const type = paramTypes[bind] ?? 0;
    const uses = sql.match(new RegExp(`\\$0*${bind + 1}(?!\\d)`, 'g'))?.length ?? 0;
    const known = TEXT.has(type) || (type === 0 && uses === 1);
    return known ? { ...change, value: values[bind]?.toString('utf8') ?? null } : change;
  });
  return { ...one, settings };
}

function affectsContext(it: Plan): boolean {
  return (
    it.judged.some(({ facts }) => facts === null) ||
    statementsOf(it).some(
      (one) =>
        OPAQUE.has(one.class) ||
        one.class === 'ddl' ||
        one.unknowns.length > 0 ||
        one.settings.length > 0 ||
        one.effects.some((effect) => effect.kind === 'temp-relation' || effect.kind === 'discard'),
    )
  );
}

export class SessionContext {
  readonly settings: SettingValues;
  /** As the server reports them. */
  readonly reported: Map<string, string>;
  readonly role: string;
  readonly login: string;
  #searchPath: readonly string[];
  /** While stale: schemas that the path has nevertheless; null: any. */
  #among: readonly string[] | null = null;
  #temps: readonly string[] = [];
  /** Found before those of pg_catalog: a domain may check anything. */
  #tempTypes: readonly string[] = [];
  /** Temporary relations that nothing but plain statements made: the catalog shows none of them, so of the others nothing is known. */
  #plain: ReadonlySet<string> = new Set();
  /** The server must be asked again, when it is idle. */
  #stale = false;
  #tempsUnknown = false;
  /** There may be more temporary objects than are known; names resolve where they did. */
  #unlisted = false;
  #changedInTransaction = false;
  /** Settings of the fingerprint were changed in the transaction. */
  #meant = false;
  /** What became of them must be asked of the server: until then nothing that was approved is known again. */
  #doubt: string | null = null;
  /** Names whose definitions the open transaction changed (policy's `changes`). */
  #changed: readonly string[] = [];
  #resolution: ResolutionContext;
  #snapshot = false;

  constructor(
    facts: LoginFacts,
    reported: ReadonlyMap<string, string>,
    initial: ReadonlyMap<string, string>,
  ) {
    this.settings = new SettingValues(new Map([...facts.settings, ...initial]));
    this.reported = new Map(reported);
    this.role = facts.role;
    this.login = facts.login;
    this.#searchPath = facts.searchPath;
    this.#resolution = this.#resolve();
  }

  get stale(): boolean {
    return this.#stale || this.#unlisted || this.#doubt !== null;
  }
  /** While it is unacknowledged, what follows cannot be judged: also not by a path that the end of the transaction may take back. */
  affectedBy(it: Plan): boolean {
    const ends = () => statementsOf(it).some(({ effects }) => effects.some(({ kind }) => ENDS.has(kind)));
    return affectsContext(it) || (this.#stale && ends());
  }
  /** Names and settings are asked for before the next statement, and with them whose backend it is. */
  askAgain(): void {
    this.#unlisted = true;
  }
  get resolution(): ResolutionContext {
    return this.#resolution;
  }

  /** It sees what another connection would not: temporary objects, definitions of its own transaction, another role's names. */
  get apart(): boolean {
    const temporary = this.#temps.length + this.#tempTypes.length + this.#changed.length > 0;
    const another = ['role', 'session_authorization'].some(
      (name) => (this.settings.get(name) ?? 'none') !== 'none',
    );
    return temporary || another || this.stale || this.#tempsUnknown;
  }

  /** REPEATABLE READ or SERIALIZABLE: the transaction's snapshot may be older than an approval. Only shown, so that doubt counts as yes. */
  get snapshotPredates(): boolean {
    const level =
      this.settings.get('transaction_isolation') ?? this.settings.get('default_transaction_isolation') ?? '';
    return this.#snapshot || WEAK_SNAPSHOT.test(level);
  }

  /** The server completed it, with these bind values. */
  done(it: Plan, given: Given = NOTHING_GIVEN): void {
    const statements = outerStatements(it).map((one) => withBinds(it.sql, one, given));
    const inner = innerStatements(it);
    // When in the string they ran, if they did, is not known.
    const known = inner.every(({ settings }) => !settings.some(changesContext));
    for (const one of [...statements, ...inner]) {
      for (const change of one.settings) {
        this.settings.apply(change);
        this.#meant ||= changesMeaning(change);
      }
      if (one.settings.some(changesContext)) this.#touch(known ? schemasAfter(one, this.#schemas()) : null);
      if (inner.includes(one)) this.#doubtMeaning();
      if (OPAQUE.has(one.class)) this.#touch(null);
      // Among what it made there may be temporary types.
      if (one.changes?.includes('*')) this.#unlisted = true;
      if (one.changes !== undefined) {
        const all = this.#changed.includes('*') || this.#changed.length > 1000;
        this.#changed = all ? ['*'] : [...new Set([...this.#changed, ...one.changes])];
        this.#resolution = this.#resolve();
      }
      this.#noteTemps(one);
      if (one.class === 'transaction' && WEAK_SNAPSHOT.test(it.sql)) this.#snapshot = true;
      for (const effect of one.effects) {
        if (effect.kind === 'rollback' || effect.kind === 'rollback-to') this.#doubtMeaning();
        // What was set for the transaction alone, or since the savepoint, is gone.
        if (this.#stale && ENDS.has(effect.kind)) this.#touch(null);
        if (effect.kind === 'temp-relation') {
          if (this.#temps.length < 1000) this.#temps = [...this.#temps, effect.name];
          this.#touch(this.#schemas());
        } else if (effect.kind === 'discard') this.#forgetTemps();
        else if (effect.kind === 'rollback-to' && this.#changedInTransaction) {
          this.#plain = new Set();
          this.#forgetTemps();
        }
      }
      if (
        one.class === 'ddl' &&
        this.#temps.length > 0 &&
        !one.effects.some((e) => e.kind === 'temp-relation')
      )
        this.#forgetTemps();
    }
    if (it.judged.some(({ facts }) => facts === null)) {
      this.#plain = new Set();
      this.#forgetTemps();
    }
  }

  /** What is made or changed by anything but a plain statement over plain columns may run code or show what is tagged. */
  #noteTemps({ verb, unknowns, columns, changes = [], effects }: StatementFacts): void {
    const made = effects.flatMap((effect) => (effect.kind === 'temp-relation' ? [effect.name] : []));
    if (changes.length === 0 && made.length === 0) return;
    const plain = PLAIN.test(verb) && unknowns.length === 0 && columns.length === 0;
    if (plain) this.#plain = new Set([...this.#plain, ...made]);
    else if (changes.includes('*')) this.#plain = new Set();
    else
      this.#plain = new Set(
        [...this.#plain].filter((name) => !changes.includes(name) && !made.includes(name)),
      );
    this.#resolution = this.#resolve();
  }

  /** The string failed, but an earlier part of it may have counted. */
  failed(it: Plan): void {
    this.#meant ||= statementsOf(it).some(({ settings }) => settings.some(changesMeaning));
    this.#doubtMeaning();
    if (!affectsContext(it)) return;
    this.#plain = new Set();
    this.#forgetTemps();
  }

  /** True: definitions changed with it, so that the catalog must be read again. */
  transactionEnded(committed: boolean): boolean {
    const changed = this.#changed.length > 0;
    this.#changed = [];
    if (this.#stale) this.#among = null;
    if (changed || this.#stale) this.#resolution = this.#resolve();
    if (!committed && this.#changedInTransaction) {
      this.#plain = new Set();
      this.#forgetTemps();
    }
    this.#changedInTransaction = false;
    this.#snapshot = false;
    this.settings.transactionEnded(committed);
    if (!committed) this.#doubtMeaning();
    this.#meant = false;
    return changed;
  }

  /** The answer to `own.lookup`: effective schemas, temporary relations. */
  learn(rows: readonly (readonly (string | null)[])[]): boolean {
    const [path, temps, types, settings] = rows[0] ?? [];
    if (!path || !settings) return false;
    this.settings.learn(JSON.parse(settings) as Record<string, string | null>);
    this.#doubt = null;
    this.#searchPath = JSON.parse(path) as string[];
    this.#temps = temps ? (JSON.parse(temps) as string[]) : [];
    this.#tempTypes = types ? (JSON.parse(types) as string[]) : [];
    this.#stale = false;
    this.#unlisted = false;
    this.#tempsUnknown = false;
    this.#resolution = this.#resolve();
    return true;
  }

  /** Part of the fingerprint: a changed value asks anew. */
  fingerprint(): readonly (string | null)[] {
    const { reported, settings } = this;
    return [
      // Inside of a transaction it may not be known: then it is as it was set.
      JSON.stringify(this.#resolution.searchPath ?? ['?', settings.get('search_path')]),
      this.#doubt,
      this.role,
      reported.get('DateStyle') ?? null,
      reported.get('IntervalStyle') ?? null,
      reported.get('TimeZone') ?? null,
      settings.get('session_replication_role'),
      ...MEANING.map((name) => settings.get(name)),
      // Row security and functions may read them.
      JSON.stringify(settings.custom()),
    ];
  }

  /** Of those, what another connection needs to read the same text alike. */
  meaning(): ReadonlyMap<string, string> {
    const values = new Map<string, string>();
    for (const name of ['DateStyle', 'IntervalStyle', 'TimeZone']) {
      const value = this.reported.get(name);
      if (value !== undefined) values.set(name, value);
    }
    for (const name of MEANING) {
      const value = this.settings.get(name);
      if (value !== null) values.set(name, value);
    }
    return values;
  }

  #doubtMeaning(): void {
    if (this.#meant) this.#doubt ??= randomUUID();
  }

  #schemas(): readonly string[] | null {
    return this.#stale ? this.#among : this.#searchPath;
  }

  #touch(among: readonly string[] | null): void {
    this.#among = among;
    this.#stale = true;
    this.#changedInTransaction = true;
    this.#resolution = this.#resolve();
  }

  /** A name that was a temporary relation may be a permanent one again. */
  #forgetTemps(): void {
    this.#tempsUnknown = true;
    this.#touch(null);
  }

  #resolve(): ResolutionContext {
    return {
      searchPath: this.#stale ? null : this.#searchPath,
      ...(this.#stale && this.#among !== null ? { among: this.#among } : {}),
      tempRelations: this.#tempsUnknown ? [] : this.#temps,
      login: this.login,
      changed: [
        ...this.#changed,
        ...this.#tempTypes,
        ...this.#temps.filter((name) => !this.#plain.has(name)),
      ],
    };
  }
}
