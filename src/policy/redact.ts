/** Which spans of the text, and which bind parameters, must not be shown (DESIGN.md 6). */
import type { Context } from './lineage/context.ts';
import { remainingLiterals } from './lineage/literals.ts';
import { asList, asText, nodeOf, unwrap } from './parse/node.ts';
import { type RawStatement, STRANGE } from './parse/parser.ts';
import type { Token } from './parse/spans.ts';
import { constantAt, tokensFor, utf16Offsets } from './parse/spans.ts';
import type { Grammar } from './server.ts';
import type { Redaction } from './types.ts';

export interface Hidden {
  readonly redactions: readonly Redaction[];
  /** 0-based. */
  readonly binds: readonly number[];
}

const NOTHING: Hidden = { redactions: [], binds: [] };

export function redact(sql: string, statement: RawStatement, context: Context): Hidden {
  const { out, env, cleared } = context;
  const code = blockOf(statement);
  if (code !== null) {
    if (!mentionsTagged(code, context)) return NOTHING;
    return { redactions: block(sql, statement, code, env.grammar), binds: [] };
  }
  // What EXECUTE's arguments end up in is known to the session, not here.
  const passed = passesOn(statement) && env.everyTag('', '', '').size > 0;
  // A function that cannot be read may compare its arguments with anything.
  const opaque = [...out.unknowns].some((what) => what.startsWith('function ')) && out.uses('value').size > 0;
  // What is not known of its tree may compare any of them with anything.
  const strange = statement.kind === STRANGE && env.everyTag('', '', '').size > 0;
  if (!out.tainted && !passed && !opaque && !strange) return NOTHING;
  const { literals, parameters } = remainingLiterals(statement.node, cleared);
  const binds = [...parameters].map((number) => number - 1).filter((at) => at >= 0);
  const offset = utf16Offsets(sql);
  const all: Redaction = {
    start: offset(statement.start),
    end: offset(statement.end),
    label: '<pii:statement>',
  };
  if (strange) return { redactions: [all], binds };
  if (literals.length === 0) return { redactions: [], binds };
  const tokens = tokensFor(sql, statement, env.grammar);
  if (tokens === null) return { redactions: [all], binds };
  const redactions = new Map<number, Redaction>();
  for (const { location, label } of literals) {
    const token = constantAt(tokens, location);
    if (token === null) return { redactions: [all], binds };
    // A negative number's position is that of its sign.
    const signed = location < token.start && '+-'.includes(sql[offset(location)] ?? ' ');
    const start = offset(signed ? location : token.start);
    redactions.set(start, { start, end: offset(token.end), label });
  }
  return { redactions: [...redactions.values()], binds };
}

function passesOn(statement: RawStatement): boolean {
  if (statement.kind === 'ExecuteStmt') return true;
  return (
    ['ExplainStmt', 'CreateTableAsStmt'].includes(statement.kind) &&
    unwrap(statement.node['query'])?.kind === 'ExecuteStmt'
  );
}

/** The code of DO and of CREATE FUNCTION … AS. */
function blockOf({ kind, node }: RawStatement): string | null {
  const options = kind === 'DoStmt' ? node['args'] : kind === 'CreateFunctionStmt' ? node['options'] : null;
  if (options === null) return null;
  for (const item of asList(options)) {
    const option = nodeOf(item, 'DefElem');
    if (option === null || asText(option['defname']) !== 'as') continue;
    const text =
      nodeOf(option['arg'], 'String') ??
      nodeOf(asList(nodeOf(option['arg'], 'List')?.['items'])[0], 'String');
    return asText(text?.['sval']);
  }
  return kind === 'DoStmt' ? '' : null;
}

function mentionsTagged(code: string, { env }: Context): boolean {
  const words = new Set(code.toLowerCase().match(/[\p{L}\p{N}_$]+/gu) ?? []);
  return (env.catalog?.relations ?? []).some((relation) =>
    relation.columns.some(
      (column) =>
        (words.has(column.name.toLowerCase()) || words.has(relation.name.toLowerCase())) &&
        env.tag(relation.schema, relation.name, column.name, column.comment) !== null,
    ),
  );
}

/** Quoted literals inside a dollar-quoted body; the whole of a body in plain quotes. */
function block(sql: string, statement: RawStatement, code: string, grammar: Grammar): Redaction[] {
  const offset = utf16Offsets(sql);
  const body = (tokensFor(sql, statement, grammar) ?? []).filter(
    (token) => token.start >= statement.start && token.end <= statement.end && isBody(token, code),
  );
  if (body.length === 0) {
    return [{ start: offset(statement.start), end: offset(statement.end), label: '<pii:statement>' }];
  }
  return body.flatMap((token) => {
    const start = offset(token.start);
    const end = offset(token.end);
    const text = sql.slice(start, end);
    const tag = /^\$[^$]*\$/.exec(text)?.[0];
    if (tag === undefined) return [{ start, end, label: '<pii:code>' }];
    const offsetIn = start + tag.length;
    const within = text.slice(tag.length, -tag.length);
    return [...within.matchAll(/'(?:[^']|'')*'|(?<![\p{L}\p{N}_$.])\d[\d.]*/gu)].map((match) => ({
      start: offsetIn + match.index,
      end: offsetIn + match.index + match[0].length,
      label: /^\d/.test(match[0]) ? '<pii:number>' : '<pii:text>',
    }));
  });
}

function isBody(token: Token, code: string): boolean {
  return token.name === 'SCONST' && (token.text.includes(code) || token.text.length >= code.length);
}
