/** `holdpoint policy explain`: a verdict for people, and the same as one JSON object a line for programs. */
import { owedOf } from './terms.ts';
import type { RuleTrace } from './trace.ts';
import type {
  Analysis,
  ColumnUse,
  Facts,
  LockUse,
  RelationUse,
  StatementClass,
  StatementFacts,
  Verdict,
} from './types.ts';

/** The gateway's `Judged` is one. */
export interface Explained {
  /** Null when it could not be judged; the verdict says why. */
  readonly facts: Facts | null;
  readonly verdict: Verdict;
  /** Per statement; told to people only. */
  readonly traces?: readonly (readonly RuleTrace[])[];
  /** The parser's own words, for people at their own terminal: they may quote the text. */
  readonly note?: string;
}

export function explained(
  analysis: Analysis,
  verdict: Verdict,
  traces: readonly (readonly RuleTrace[])[] = [],
): Explained {
  switch (analysis.kind) {
    case 'facts':
      return { facts: analysis, verdict, traces };
    case 'syntax':
      return { facts: null, verdict, note: analysis.message };
    case 'unjudgeable':
      return { facts: null, verdict, note: analysis.why };
  }
}

/** Key order is part of the format. */
export interface ExplainedLine {
  readonly verdict: Verdict['effect'];
  readonly class: StatementClass;
  readonly statements: readonly {
    readonly class: StatementClass;
    readonly relations: readonly string[];
    readonly functions: readonly string[];
    readonly columns: readonly string[];
  }[];
  readonly rules: readonly string[];
  readonly reason: string;
}

export function explainObject({ facts, verdict }: Explained): ExplainedLine {
  return {
    verdict: verdict.effect,
    class: facts?.class ?? 'unknown',
    statements: (facts?.statements ?? []).map((statement) => ({
      class: statement.class,
      relations: [...new Set(statement.relations.map(relationText))],
      functions: [...new Set(statement.functions)],
      columns: [...new Set(statement.columns.map(columnText))],
    })),
    rules: verdict.rules,
    reason: verdict.reason,
  };
}

/** Answers one line of input with one line of output (without line ends). A line that is no request gets `{"error": …}`. */
export async function explainLine(
  line: string,
  explain: (sql: string) => Explained | Promise<Explained>,
): Promise<string> {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return errorLine('this line is not JSON; write {"sql": "…"}');
  }
  const sql = typeof value === 'object' && value !== null && 'sql' in value ? value.sql : undefined;
  if (typeof sql !== 'string') return errorLine('this line has no "sql" text; write {"sql": "…"}');
  return JSON.stringify(explainObject(await explain(sql)));
}

function errorLine(error: string): string {
  return JSON.stringify({ error });
}

/** A small tree for people. */
export function explainText({ facts, verdict, traces, note }: Explained): string {
  const lines = [
    `verdict: ${verdict.effect}`,
    `reason:  ${verdict.reason}`,
    `rules:   ${verdict.rules.join(', ')}`,
  ];
  if (verdict.observed !== undefined)
    lines.push(
      `would ${verdict.observed.effect}: ${verdict.observed.rules.join(', ')} (observed, not enforced)`,
    );
  if (note !== undefined) lines.push(`parser:  ${note}`);
  if (facts !== null) {
    lines.push(`class:   ${facts.class}`);
    if (verdict.effect === 'hold') lines.push(`terms:   ${termsText(verdict)}`);
    for (const [index, statement] of facts.statements.entries()) {
      lines.push(`${index + 1}. ${statement.verb} (${statement.class})`, ...statementLines(statement));
      const asked = (traces?.[index] ?? []).map(traceLine);
      if (asked.length > 0) lines.push('   rules', ...asked.map((line) => `     ${line}`));
    }
  }
  return `${lines.join('\n')}\n`;
}

function traceLine({ name, effect, outcome, why }: RuleTrace): string {
  const because = why === '' ? '' : `: ${why}`;
  switch (outcome) {
    case 'decides':
      return `${name} → ${effect}${because}`;
    case 'observed':
      return `${name} → would ${effect}, observed only${because}`;
    case 'overruled':
      return `${name} (${effect}) matches, others decide${because}`;
    case 'lifted':
      return `${name} (${effect}) is lifted${because}`;
    case 'excepted':
      return `${name} (${effect}) is excepted${because}`;
    case 'no match':
      return `${name} (${effect}) does not match${because}`;
  }
}

function statementLines(statement: StatementFacts): readonly string[] {
  const branches: readonly (readonly [string, readonly string[]])[] = [
    ['relations', statement.relations.map(relationLine)],
    ['locks', (statement.locks ?? []).map(lockLine)],
    ['functions', statement.functions],
    [
      'tagged columns',
      statement.columns.map(({ tag, use, ...column }) => `${columnText(column)} (${tag}, ${use})`),
    ],
    ['settings', statement.settings.map(({ name, local }) => (local ? `${name} (local)` : name))],
    ['cannot see through', statement.unknowns],
    ['missing', statement.missingWhere ? ['WHERE'] : []],
    ['rows changed, estimated', statement.rows === undefined ? [] : [`at most about ${statement.rows}`]],
  ];
  return branches.flatMap(([title, items]) =>
    items.length === 0 ? [] : [`   ${title}`, ...[...new Set(items)].map((item) => `     ${item}`)],
  );
}

function termsText({ terms }: Verdict): string {
  const { escalation } = terms;
  return [
    owedOf(terms)
      .map(({ groups, count }) => {
        const who = groups.length === 0 ? 'any approver' : `an approver of ${groups.join(' or ')}`;
        return count > 1 ? `${count} × ${who}` : who;
      })
      .join(' and '),
    ...(terms.waitMs === null ? [] : [`waits ${terms.waitMs / 1000} s`]),
    ...(terms.expiresMs === null ? [] : [`open for ${terms.expiresMs / 60_000} min`]),
    ...(terms.ticketRequired ? ['a reason with a ticket is required'] : []),
    ...(terms.reasonRequired && !terms.ticketRequired ? ['a reason is required'] : []),
    ...(escalation === undefined
      ? []
      : [`after ${escalation.afterMs / 60_000} min also ${escalation.groups.join(' or ')}`]),
    ...(terms.surfaces === undefined ? [] : [`approved in ${terms.surfaces.join(' or ') || 'no place'}`]),
  ].join(', ');
}

function relationLine(relation: RelationUse): string {
  const notes = [
    relation.access,
    ...(relation.indirect ? ['indirect'] : []),
    ...(relation.known ? [] : ['not in the catalog']),
  ];
  return `${relationText(relation)} (${notes.join(', ')})`;
}

function lockLine(lock: LockUse): string {
  return `${lock.name === '*' ? 'any other' : relationText(lock)}: ${lock.mode}`;
}

export function relationText({ schema, name }: Pick<RelationUse, 'schema' | 'name'>): string {
  return schema === null ? name : `${schema}.${name}`;
}

export function columnText({
  schema,
  relation,
  column,
}: Pick<ColumnUse, 'schema' | 'relation' | 'column'>): string {
  return `${schema}.${relation}.${column}`;
}
