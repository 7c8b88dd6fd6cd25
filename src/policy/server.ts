/** Which PostgreSQL a server is, by what it says of itself, and whose grammar reads what is meant for it. */
import type { CatalogSnapshot } from './types.ts';

/** Majors whose grammar is at hand. */
export const GRAMMARS = [15, 16, 17, 18] as const;
export type Grammar = (typeof GRAMMARS)[number];
export const NEWEST = 18 satisfies Grammar;

const majorOf = (serverVersion: number): number => Math.floor(serverVersion / 10_000);
export const isOtherMajor = (a: number, b: number): boolean => majorOf(a) !== majorOf(b);

/** By `server_version_num`; null: none of ours. */
export const grammarOf = (serverVersion: number): Grammar | null =>
  GRAMMARS.find((major) => major === majorOf(serverVersion)) ?? null;

/** Of a server that is not judged by its own grammar nearly nothing counts (unfamiliar.ts). */
export const grammarFor = ({ serverVersion }: CatalogSnapshot): Grammar => grammarOf(serverVersion) ?? NEWEST;

export interface Server {
  /** `server_version_num`. */
  readonly number: number;
  /** The beginning of `version()`, fit to be shown. */
  readonly said: string;
  /** null: not PostgreSQL's own, or of a major without a grammar here. */
  readonly grammar: Grammar | null;
  /** The configuration names it, as far as it must. */
  readonly accepted: boolean;
}

/**
 * `version()` as PostgreSQL's own builds, the packages of distributions and the hosted ones say it: `PostgreSQL 15.18 (Debian
 * 15.18-0+deb12u1) on x86_64-pc-linux-gnu, compiled by gcc …, 64-bit`. What has a dialect of its own says its name somewhere in there.
 */
const OWN =
  /^PostgreSQL (\d+)\.\d+(?: \((?:(?:Debian|Ubuntu|Raspbian|Devuan|Kali|PureOS) [\w.+~:-]+|Homebrew|MacPorts|Postgres\.app|[0-9a-f]{7,40})\)| - Percona (?:Distribution|Server for PostgreSQL [\d.]+))?(?: on [\w.-]+)?, compiled by [^,]+(?:, a [0-9a-f]+ p [0-9a-f]+)?, \d+-bit$/;

/** By `version()` and `server_version_num`. `named`: words of `version()` that the configuration accepts. */
export function serverOf(version: string, number: number, named: string | null): Server {
  const major = OWN.exec(version)?.[1];
  const own = major !== undefined && Number(major) === majorOf(number);
  const grammar = own ? grammarOf(number) : null;
  const said = version.replace(/[^\x20-\x7e]/g, '?').slice(0, 40);
  return { number, said, grammar, accepted: grammar !== null || says(version, named) };
}

/** Whole words: `PostgreSQL 1` names no 14. */
function says(version: string, named: string | null): boolean {
  if (named === null) return false;
  const at = version.toLowerCase().indexOf(named.toLowerCase());
  return at >= 0 && !/^\w/.test(version.slice(at + named.length)) && !/\w$/.test(version.slice(0, at));
}

/** Fit for the client and for the one who starts the gateway. */
export const refusalOf = ({ said }: Server): string =>
  `it is "${said}", which is not PostgreSQL ${GRAMMARS[0]} to ${NEWEST}; its target may name it (server:), and then nearly everything waits for approval`;
