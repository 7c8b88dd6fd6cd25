/** `holdpoint policy explain`: a verdict for people, and the same as one JSON object a line for programs. */
import type {
  Analysis,
  ColumnUse,
  Facts,
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
  /** The parser's own words, for people at their own terminal: they may quote the text. */
  readonly note?: string;
}

export function explained(analysis: Analysis, verdict: Verdict): Explained {
  switch (analysis.kind) {
    case 'facts':
      return { facts: analysis, verdict };
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
export function explainText({ facts, verdict, note }: Explained): string {
  const lines = [
    `verdict: ${verdict.effect}`,
    `reason:  ${verdict.reason}`,
    `rules:   ${verdict.rules.join(', ')}`,
  ];
  if (note !== undefined) lines.push(`parser:  ${note}`);
  if (facts !== null) {
    lines.push(`class:   ${facts.class}`);
    if (verdict.effect === 'hold') lines.push(`terms:   ${termsText(verdict)}`);
    for (const [index, statement] of facts.statements.entries()) {
      lines.push(`${index + 1}. ${statement.verb} (${statement.class})`, ...statementLines(statement));
    }
  }
  return `${lines.join('\n')}\n`;
}

function statementLines(statement: StatementFacts): readonly string[] {
  const branches: readonly (readonly [string, readonly string[]])[] = [
    ['relations', statement.relations.map(relationLine)],
    ['functions', statement.functions],
    [
      'tagged columns',
      statement.columns.map(({ tag, use, ...column }) => `${columnText(column)} (${tag}, ${use})`),
    ],
    ['settings', statement.settings.map(({ name, local }) => (local ? `${name} (local)` : name))],
    ['cannot see through', statement.unknowns],
    ['missing', statement.missingWhere ? ['WHERE'] : []],
  ];
  return branches.flatMap(([title, items]) =>
    items.length === 0 ? [] : [`   ${title}`, ...[...new Set(items)].map((item) => `     ${item}`)],
  );
}

function termsText({ terms }: Verdict): string {
  const who =
    terms.approverGroups.length === 0
      ? 'any approver'
      : `an approver of ${terms.approverGroups.join(' or ')}`;
  return [
    terms.quorum > 1 ? `${terms.quorum} × ${who}` : who,
    ...(terms.waitMs === null ? [] : [`waits ${terms.waitMs / 1000} s`]),
    ...(terms.expiresMs === null ? [] : [`open for ${terms.expiresMs / 60_000} min`]),
    ...(terms.reasonRequired ? ['a reason is required'] : []),
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
