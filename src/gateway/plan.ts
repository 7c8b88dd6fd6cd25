/** A statement string together with everything that it would run (prepared statements, portals): judged as one (DESIGN.md 3). */
import { joinTerms } from '../policy/terms.ts';
import {
  type Effect,
  type Facts,
  type Observed,
  type RelationUse,
  STATEMENT_CLASSES,
  type StatementClass,
  type StatementFacts,
  type Verdict,
} from '../policy/types.ts';
import { relationNames } from './errors.ts';
import type { Judged } from './types.ts';

export interface Plan {
  readonly sql: string;
  /** The string itself first, then what it reaches by name. */
  readonly judged: readonly Judged[];
  readonly verdict: Verdict;
  readonly probe: Judged['probe'];
}

const WEIGHT: Readonly<Record<Effect, number>> = { allow: 0, hold: 1, deny: 2 };

/** Most restrictive wins. */
export function plan(sql: string, judged: readonly Judged[]): Plan {
  const [first, ...more] = judged;
  if (first === undefined) throw new Error('a plan needs a verdict');
  const probe = judged.find((one) => one.probe !== 'none')?.probe ?? 'none';
  const verdict = more.reduce((sum, one) => strictest(sum, one.verdict), first.verdict);
  return { sql, judged, verdict, probe };
}

function strictest(a: Verdict, b: Verdict): Verdict {
  const seen = [a.observed, b.observed].filter((one) => one !== undefined);
  const observed: { readonly observed?: Observed } =
    seen.length === 0
      ? {}
      : {
          observed: {
            effect: seen.some(({ effect }) => effect === 'deny') ? 'deny' : 'hold',
            rules: [...new Set(seen.flatMap(({ rules }) => rules))],
          },
        };
  if (WEIGHT[a.effect] !== WEIGHT[b.effect])
    return { ...(WEIGHT[a.effect] > WEIGHT[b.effect] ? a : b), ...observed };
  return {
    effect: a.effect,
    rules: [...new Set([...a.rules, ...b.rules])],
    reason: a.reason,
    terms: joinTerms([a.terms, b.terms]),
    ...observed,
  };
}

export const factsOf = (it: Plan): Facts[] =>
  it.judged.flatMap((one) => (one.facts === null ? [] : [one.facts]));
export const statementsOf = (it: Plan): StatementFacts[] => factsOf(it).flatMap((facts) => facts.statements);
/** Statements of the string itself: their effects change the session. */
export const outerStatements = (it: Plan): readonly StatementFacts[] => it.judged[0]?.facts?.statements ?? [];

const rank = (kind: StatementClass): number => STATEMENT_CLASSES.indexOf(kind);
export function classOf(it: Plan): StatementClass {
  const facts = factsOf(it);
  if (facts.length < it.judged.length) return 'unknown';
  return facts.reduce<StatementClass>((sum, one) => (rank(one.class) > rank(sum) ? one.class : sum), 'empty');
}

/** The statement that carries the weight, for verb and objects. */
export function heaviest(it: Plan): StatementFacts | null {
  let found: StatementFacts | null = null;
  for (const one of statementsOf(it)) if (found === null || rank(one.class) > rank(found.class)) found = one;
  return found;
}

export const verbOf = (it: Plan): string => heaviest(it)?.verb ?? 'statement';
export const relationsOf = (it: Plan): string[] => [...new Set(statementsOf(it).flatMap(relationNames))];
/** With these every relation named is there already, or they fail. What they make carries a name of another kind. */
const NEEDS_ALL =
  /^(DROP|ALTER|TRUNCATE|COMMENT|VACUUM|ANALYZE|CLUSTER|REINDEX|REFRESH|GRANT|REVOKE|COPY|PREPARE|DECLARE|CREATE (INDEX|TRIGGER|RULE|POLICY))\b/;
const IF_EXISTS = /\bif\b[^;]*\bexists\b/i;
/** Relations that nobody knows of and without which the statement fails. Of a string of several any may make what another needs. */
export function neededRelations(it: Plan): readonly RelationUse[] {
  const [only, ...more] = statementsOf(it);
  if (only === undefined || more.length > 0 || !NEEDS_ALL.test(only.verb) || IF_EXISTS.test(it.sql))
    return [];
  return only.relations.filter(({ known, indirect }) => !known && !indirect).slice(0, 10);
}

export const taggedColumnsOf = (it: Plan): string[] => [
  ...new Set(
    statementsOf(it).flatMap((one) =>
      one.columns.map((column) => `${column.schema}.${column.relation}.${column.column}`),
    ),
  ),
];
/** Values of tagged columns may be in results, errors or parameters: what cannot be told counts (I3). */
export const isTagged = (it: Plan): boolean =>
  it.judged.some(
    ({ facts }) =>
      facts === null || facts.touchesTagged || facts.statements.some((one) => one.columns.length > 0),
  );

const MAX_SHOWN = 256 * 1024;

/** Exact text with the literals of tagged columns replaced. A text that could not be read may hold anything, but is what was refused. */
export function redacted({ sql, facts }: Judged): string {
  let text = '';
  let at = 0;
  for (const { start, end, label } of [...(facts?.redactions ?? [])].sort((a, b) => a.start - b.start)) {
    if (start < at) continue;
    text += `${sql.slice(at, start)}<${label.replace(/^<|>$/g, '')}>`;
    at = end;
  }
  text += sql.slice(at);
  return text.length <= MAX_SHOWN ? text : `${text.slice(0, MAX_SHOWN)}… (${sql.length} characters)`;
}

/** The same with what it runs by name: `EXECUTE d(1)` alone would hide the DELETE. */
export function shownSql(it: Plan): string {
  const [outer, ...inner] = it.judged;
  if (outer === undefined) return '';
  return [redacted(outer), ...inner.map((one) => `-- runs:\n${redacted(one)}`)].join('\n');
}

/** Bind values as people read them: tagged ones are placeholders, binary ones hex, all capped. */
export function shownBinds(
  it: Plan,
  values: readonly (Buffer | null)[],
  formats: readonly number[],
  cap: number,
): (string | null)[] {
  const hidden = (i: number): boolean =>
    it.judged.some(
      ({ facts }) => facts === null || facts.taggedBinds === 'all' || facts.taggedBinds.includes(i),
    );
  return values.map((value, i) => {
    if (hidden(i)) return '<pii>';
    return value === null ? null : shownValue(value, formats[i] ?? 0, 0, cap);
  });
}

export function shownValue(value: Buffer, format: number, typeOid: number, cap: number): string {
  if (format === 0) {
    const text = value.subarray(0, cap).toString('utf8');
    return value.length > cap ? `${text}…` : text;
  }
  if (typeOid === 16 && value.length === 1) return value[0] === 1 ? 't' : 'f';
  if (typeOid === 21 && value.length === 2) return String(value.readInt16BE());
  if (typeOid === 23 && value.length === 4) return String(value.readInt32BE());
  if (typeOid === 20 && value.length === 8) return String(value.readBigInt64BE());
  if (typeOid === 700 && value.length === 4) return String(value.readFloatBE());
  if (typeOid === 701 && value.length === 8) return String(value.readDoubleBE());
  if (typeOid === 25 || typeOid === 1043 || typeOid === 19 || typeOid === 114)
    return shownValue(value, 0, 0, cap);
  const hex = value.subarray(0, cap >> 1).toString('hex');
  return `\\x${hex}${value.length > cap >> 1 ? '…' : ''}`;
}
