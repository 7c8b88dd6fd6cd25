/**
 * Errors about the client's own text. A position alone proves nothing: checks of domains run during parse analysis. But what names exactly
 * the identifier that stands at its position was in the text before any value was read, and nothing of a function's own is in between.
 */
import type { CatalogNames } from '../judge/names.ts';
import { BUILT_IN_TYPE } from './own-words.ts';

export interface Echo {
  readonly message: string;
  readonly hint: string | null;
}

/** Where another text than the client's is read, or a function of users runs, the server adds one of these. */
const ELSEWHERE = ['W', 'q', 'p'] as const;

const PART = String.raw`(?:"(?:[^"]|"")+"|[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*)`;
const CHAIN = new RegExp(`${PART}(?:\\s*\\.\\s*${PART}){0,3}`, 'y');

/** As PostgreSQL folds them. */
const unquoted = (part: string): string =>
  part.startsWith('"')
    ? part.slice(1, -1).replaceAll('""', '"')
    : part.replace(/[A-Z]+/g, (upper) => upper.toLowerCase());

/** A position counts characters from 1; -1: outside of the text. */
function indexOf(text: string, position: string | undefined): number {
  const at = Number(position) - 1;
  if (!Number.isInteger(at) || at < 0 || at >= text.length) return -1;
  if (!/[\ud800-\udfff]/.test(text)) return at;
  return [...text].slice(0, at).join('').length;
}

export function echo(
  fields: ReadonlyMap<string, string>,
  text: string | null,
  names: CatalogNames,
): Echo | null {
  if (text === null || ELSEWHERE.some((key) => fields.has(key))) return null;
  const code = fields.get('C') ?? '';
  const message = fields.get('M') ?? '';
  const routine = fields.get('R') ?? '';
  if (code === '42601' && routine === 'scanner_yyerror') return syntax(message, fields.get('P'), text);
  // The grammar's own complaints.
  if (code === '42601' && routine === 'base_yyparse' && fields.has('P')) return { message, hint: null };
  const at = indexOf(text, fields.get('P'));
  if (at < 0) return null;
  if (message === `there is no parameter ${/^\$\d+/.exec(text.slice(at, at + 8))?.[0]}`)
    return { message, hint: null };
  CHAIN.lastIndex = at;
  const chain = CHAIN.exec(text)?.[0];
  if (chain === undefined) return null;
  const parts = (chain.match(new RegExp(PART, 'g')) ?? []).map(unquoted);
  const told = about(code, message, parts, names);
  return told === null ? null : { message: told, hint: meant(fields, text, names) };
}

function syntax(message: string, position: string | undefined, text: string): Echo | null {
  if (/^[^"]{1,80} at end of input$/.test(message)) return { message, hint: null };
  const found = /^[^"]{1,80} at or near "([\s\S]*)"$/.exec(message);
  const at = indexOf(text, position);
  return found !== null && at >= 0 && text.startsWith(found[1] ?? '', at) ? { message, hint: null } : null;
}

function about(code: string, message: string, parts: readonly string[], names: CatalogNames): string | null {
  const last = parts.at(-1) ?? '';
  const whole = parts.join('.');
  const oneOf = (...texts: readonly string[]): string | null => (texts.includes(message) ? message : null);
  switch (code) {
    case '42703': {
      const table = /^column "[\s\S]*" of relation "([^"]+)" does not exist$/.exec(message)?.[1] ?? '';
      const of = names.relations(null, table).length > 0 ? table : null;
      return oneOf(
        `column "${last}" does not exist`,
        `column ${parts.slice(-2).join('.')} does not exist`,
        ...(of === null ? [] : [`column "${last}" of relation "${of}" does not exist`]),
      );
    }
    case '42P01':
      return oneOf(
        `relation "${whole}" does not exist`,
        ...parts.flatMap((part) => [
          `missing FROM-clause entry for table "${part}"`,
          `invalid reference to FROM-clause entry for table "${part}"`,
        ]),
      );
    case '42702':
      return oneOf(`column reference "${last}" is ambiguous`);
    case '42704':
      return oneOf(`type "${whole}" does not exist`);
    case '42803':
      return /^column "[\s\S]*" must appear in the GROUP BY clause or be used in an aggregate function$/.test(
        message,
      )
        ? `column "${last}" must appear in the GROUP BY clause or be used in an aggregate function`
        : null;
    case '42883':
      return called(message, whole);
    default:
      return null;
  }
}

/** With the types that it was called with, where none is of users. */
function called(message: string, name: string): string | null {
  const [head, tail] = [`function ${name}(`, ') does not exist'];
  if (!message.startsWith(head) || !message.endsWith(tail)) return null;
  const types = message.slice(head.length, -tail.length);
  const plain = types === '' || types.split(', ').every((type) => BUILT_IN_TYPE.test(type));
  return plain ? message : `function ${name} does not exist for arguments of these types`;
}

const ADVICE: ReadonlySet<string> = new Set(
  ['function', 'operator'].map(
    (what) =>
      `No ${what} matches the given name and argument types. You might need to add explicit type casts.`,
  ),
);

/** What the server says to every such error, or its guess at what was meant, where that is a column that there is. */
function meant(fields: ReadonlyMap<string, string>, text: string, names: CatalogNames): string | null {
  const hint = fields.get('H') ?? '';
  if (ADVICE.has(hint)) return hint;
  const found = /^Perhaps you meant to reference the column "([^".]+)\.([^".]+)"\.$/.exec(hint);
  if (found === null) return null;
  const [, table = '', column = ''] = found;
  const there = names.relations(null, table).length > 0 || text.includes(table);
  return there && names.hasColumn(column) ? hint : null;
}
