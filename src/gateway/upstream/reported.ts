/** Values of settings that the server reports: a function can set one to what it has read, so that not every value is for the client. */
import { outerStatements, type Plan } from '../plan.ts';

/** Whatever they are set to is one of a few words. */
const CLOSED: ReadonlySet<string> = new Set([
  ...['datestyle', 'intervalstyle', 'client_encoding', 'standard_conforming_strings', 'integer_datetimes'],
  ...['default_transaction_read_only', 'in_hot_standby', 'is_superuser', 'server_encoding', 'server_version'],
]);
/** Values of one setting that are remembered. */
const MANY = 32;

export class Reported {
  /** What the client was told of or has set itself, in lower case: the end of a transaction may bring it back. */
  readonly #known = new Map<string, Set<string>>();

  constructor(initial: ReadonlyMap<string, string>) {
    for (const [name, value] of initial) this.#add(name, value);
  }

  /** Its own text sets them; they are reported later, before the next ReadyForQuery. */
  ran(it: Plan): void {
    for (const { settings } of outerStatements(it))
      for (const { name, value } of settings) if (value !== null) this.#add(name, value);
  }

  /** `exposed`: it may be a tagged value, unless the client knows it. */
  mayShow(name: string, value: string, exposed: boolean): boolean {
    const key = name.toLowerCase();
    const may = !exposed || CLOSED.has(key) || this.#known.get(key)?.has(value.toLowerCase()) === true;
    if (may) this.#add(name, value);
    return may;
  }

  #add(name: string, value: string): void {
    const key = name.toLowerCase();
    const values = this.#known.get(key) ?? new Set();
    const [oldest] = values;
    if (values.size >= MANY && oldest !== undefined) values.delete(oldest);
    this.#known.set(key, values.add(value.toLowerCase()));
  }
}
