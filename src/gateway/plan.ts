/** A statement string together with everything that it would run (prepared statements, portals): judged as one (DESIGN.md 3). */
import { createHash } from 'node:crypto';
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
  /** It touches tagged columns, or may: see Facts. What could not be read may touch anything. */
  readonly exposes: boolean;
  /** It compares tagged columns with constants or bind values: which rows answer tells something of theirs. */
  readonly guesses: boolean;
}

const WEIGHT: Readonly<Record<Effect, number>> = { allow: 0, hold: 1, deny: 2 };

/** Most restrictive wins. `reachesExposing`: it goes on with what was judged before, and that exposes. */
export function plan(sql: string, judged: readonly Judged[], reachesExposing = false): Plan {
  const [first, ...more] = judged;
  if (first === undefined) throw new Error('a plan needs a verdict');
  const probe = judged.find((one) => one.probe !== 'none')?.probe ?? 'none';
  const verdict = more.reduce((sum, one) => strictest(sum, one.verdict), first.verdict);
  const exposes = reachesExposing || judged.some(({ facts }) => facts === null || facts.exposes);
  const guesses = judged.some(({ facts }) => facts !== null && compares(facts));
  return { sql, judged, verdict, probe, exposes, guesses };
}

const compares = ({ redactions, statements, taggedBinds }: Facts): boolean =>
  (redactions.length > 0 || taggedBinds.length > 0) &&
  statements.some(({ columns }) => columns.some(({ use }) => use === 'predicate'));

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
/** Of what it runs by name: theirs do as well. */
export const innerStatements = (it: Plan): readonly StatementFacts[] =>
  it.judged.slice(1).flatMap(({ facts }) => facts?.statements ?? []);

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
/** What the verb is done to comes first: of the heaviest statement, what it changes before what it only reads. */
export function relationsOf(it: Plan): string[] {
  const heavy = heaviest(it);
  const others = statementsOf(it).filter((one) => one !== heavy);
  const ordered = [
    ...(heavy === null ? [] : [heavy]),
    ...others.sort((a, b) => rank(b.class) - rank(a.class)),
  ];
  const changed = ordered.map((one) => ({
    ...one,
    relations: one.relations.filter(({ access }) => access !== 'read'),
  }));
  return [...new Set([...changed, ...ordered].flatMap(relationNames))];
}
/** With these every relation named is there already, or they fail. What they make carries a name of another kind. */
const NEEDS_ALL =
  /^(DROP|ALTER|TRUNCATE|LOCK|COMMENT|VACUUM|ANALYZE|CLUSTER|REINDEX|REFRESH|GRANT|REVOKE|COPY|PREPARE|DECLARE|CREATE (INDEX|TRIGGER|RULE|POLICY))\b/;
/** Anywhere in the text, in this order: more than it need be, but in one pass over whatever text there is. */
function saysIfExists(sql: string): boolean {
  const at = sql.search(/\bif\b/i);
  return at >= 0 && /\bexists\b/i.test(sql.slice(at));
}
/** Relations that nobody knows of and without which the statement fails. Of a string of several any may make what another needs. */
export function neededRelations(it: Plan): readonly RelationUse[] {
  const [only, ...more] = statementsOf(it);
  if (only === undefined || more.length > 0 || !NEEDS_ALL.test(only.verb) || saysIfExists(it.sql)) return [];
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

/**
 * Exact text with the literals of tagged columns replaced. What can be approved is never cut, however long the placeholders: its end would be
 * approved unseen. A text that could not be read may hold anything, but is what was refused.
 */
export function redacted({ sql, facts }: Judged): string {
  if (facts === null)
    return sql.length <= MAX_SHOWN ? sql : `${sql.slice(0, MAX_SHOWN)}… (${sql.length} characters)`;
  const text = placed(sql, facts, (label) => `<${label.replace(/^<|>$/g, '')}>`);
  return text.length <= MAX_SHOWN ? text : placed(sql, facts, () => '<pii>');
}
function placed(sql: string, { redactions }: Facts, placeholder: (label: string) => string): string {
  const parts: string[] = [];
  let at = 0;
  for (const { start, end, label } of [...redactions].sort((a, b) => a.start - b.start)) {
    if (start < at) continue;
    parts.push(sql.slice(at, start), placeholder(label));
    at = end;
  }
  parts.push(sql.slice(at));
  return parts.join('');
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

/** Of what approvers are shown: characters of one value, and of all. */
const CARD_VALUE = 64 * 1024;
const CARD_VALUES = 256 * 1024;

/** As approvers see them: whole, or with the size and digest of what they do not see. */
export function cardBinds(
  it: Plan,
  values: readonly (Buffer | null)[],
  formats: readonly number[],
): (string | null)[] {
  const all = shownBinds(it, values, formats, CARD_VALUE);
  const shown: (string | null)[] = [];
  let room = CARD_VALUES;
  for (const [i, text] of all.entries()) {
    const value = values[i];
    const cut = text?.endsWith('…') === true && value != null && value.length > CARD_VALUE >> 1;
    const whole = cut ? `${text} (${value.length} bytes, SHA-256 ${sha256(value)})` : text;
    // Names of parameters and the like count, too.
    room -= (whole?.length ?? 4) + 8;
    if (room < 0) return [...shown, `… and ${all.length - i} values more, not shown`];
    shown.push(whole);
  }
  return shown;
}
const sha256 = (value: Buffer): string => createHash('sha256').update(value).digest('hex');

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
