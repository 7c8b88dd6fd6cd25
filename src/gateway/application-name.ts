/**
 * The name under which the target's server knows a session: the client's own and the session's id, so that a row of pg_stat_activity or of
 * the server's log leads to its recording, and to no other. The server reports every change of it, by whatever way it came: where the id is
 * missing afterwards, the gateway puts it back. The client is told its own part.
 */
import type { SettingChange } from '../policy/types.ts';

const NAME = 'application_name';
/** The server takes 63 bytes and makes question marks of what is not ASCII. */
const OWN_PART = 35;
/** What clients said, by what the server was told instead. */
const KEPT = 50;
/** Enough of a session's id to be taken for it. */
const ID = /ses_[0-9a-f]{6,}/i;

export class ApplicationName {
  readonly #id: string;
  readonly #said = new Map<string, string>();
  #told: string;
  #server: string;

  /** `said`: at startup. */
  constructor(id: string, said: string) {
    this.#id = id;
    this.#told = said;
    this.#server = this.#named(said);
  }

  /** As the server has it. */
  get shown(): string {
    return this.#server;
  }

  /** The server has this value now. What the client is to be told of it; null: nothing that it does not know. */
  reported(value: string): string | null {
    this.#server = value;
    const own = this.#said.get(value) ?? (this.#holds(value) ? this.#own(value) : value);
    if (own === this.#told) return null;
    this.#told = own;
    return own;
  }

  /** What the server must be told; null: its name has the id, and nobody else's. It is asked for once a change. */
  take(): string | null {
    if (this.#holds(this.#server)) return null;
    this.#server = this.#named(this.#server);
    return this.#server;
  }

  get due(): boolean {
    return !this.#holds(this.#server);
  }

  /**
   * Why it may not be set so, to be read after "Setting x …"; null: it may. Until the string or pipeline ends the server shows what was set.
   * `final`: there are no other values to come.
   */
  refuse({ name, value, bind, form }: SettingChange, final: boolean): string | null {
    if (name.toLowerCase() !== NAME || form === 'reset' || form === 'alter-role') return null;
    if (value === null) return bind !== undefined && !final ? null : 'takes a plain value behind Holdpoint';
    return ID.test(value.replaceAll(this.#id, '')) ? 'may not hold the id of another session' : null;
  }

  #holds(value: string): boolean {
    return value === nameOf(this.#own(value), this.#id);
  }

  /** A client that saves and restores what it was shown gives the id as well. */
  #own(value: string): string {
    return value.endsWith(this.#id) ? value.slice(0, -this.#id.length).trimEnd() : value;
  }

  #named(said: string): string {
    const own = this.#own(said);
    const name = nameOf(own, this.#id);
    const [oldest] = this.#said.keys();
    if (this.#said.size >= KEPT && oldest !== undefined) this.#said.delete(oldest);
    this.#said.set(name, own);
    return name;
  }
}

function nameOf(own: string, id: string): string {
  const plain = own.replaceAll(/[^ -~]+/g, '?').replaceAll(/ses_/gi, 'ses?');
  return `${plain.slice(0, OWN_PART).trim()} ${id}`.trim();
}

/** It is given by a parameter, so that it is known when that is. */
export const namedByBind = ({ name, bind }: SettingChange): boolean =>
  name.toLowerCase() === NAME && bind !== undefined;
