#!/usr/bin/env node
// Writes src/policy/parse/shapes.ts from the type declarations of the grammars' packages: node test/suites/shapes.mjs > src/policy/parse/shapes.ts
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '../..');
const PACKAGES = { 15: 'libpg-query-15', 16: 'libpg-query-16', 17: 'libpg-query-17', 18: 'libpg-query' };

/** They come of parse analysis and planning, or frame other interfaces: a raw parse tree has none. */
const NEVER_RAW = new Set(
  `ParseResult ScanResult ScanToken SummaryResult Table Function FilterColumn Context Var Param Aggref WindowFunc WindowFuncRunCondition
  SubscriptingRef FuncExpr OpExpr DistinctExpr NullIfExpr ScalarArrayOpExpr SubPlan AlternativeSubPlan FieldSelect FieldStore RelabelType
  CoerceViaIO ArrayCoerceExpr ConvertRowtypeExpr CaseTestExpr ArrayExpr RowCompareExpr CoerceToDomain CoerceToDomainValue InferenceElem
  TargetEntry RangeTblRef FromExpr OnConflictExpr Query WithCheckOption RTEPermissionInfo RangeTblEntry RangeTblFunction TableSampleClause
  SortGroupClause WindowClause RowMarkClause MergeAction InlineCodeBlock CallContext NextValueExpr TableFunc JsonConstructorExpr JsonExpr
  JsonTablePath JsonTablePathScan JsonTableSiblingJoin ReturningExpr SinglePartitionSpec`.split(/\s+/),
);

function declared(major) {
  const from = createRequire(join(root, 'package.json'));
  const own = createRequire(from.resolve(PACKAGES[major]));
  const text = (file) => readFileSync(join(dirname(own.resolve('@pgsql/types/package.json')), file), 'utf8');
  const enums = new Map(
    [...text('enums.d.ts').matchAll(/export type (\w+) = ([^;]+);/g)].map(([, name, members]) => [
      name,
      [...members.matchAll(/"(\w+)"/g)].map(([, member]) => member),
    ]),
  );
  const kinds = new Map();
  for (const [, kind, body] of text('types.d.ts').matchAll(/export interface (\w+) \{([^}]*)\}/g)) {
    if (NEVER_RAW.has(kind)) continue;
    const fields = [...body.matchAll(/(\w+)\??: ([^;]+);/g)].map(([, name, type]) => ({ name, type }));
    kinds.set(kind, fields);
  }
  return { kinds, enums };
}

const SCALARS = new Set(['string', 'number', 'boolean', 'bigint']);
function line(kind, fields, { enums }) {
  const parts = fields.map(({ name, type }) => {
    const [, item, list] = /^(\w+)(\[\])?$/.exec(type) ?? [];
    if (item === undefined) throw new Error(`${kind}.${name}: ${type}`);
    const of = SCALARS.has(item) || enums.has(item) ? '' : item === 'Node' ? '*' : item;
    return of === '' && list === undefined ? name : `${name}:${of}${list ?? ''}`;
  });
  return [kind, ...parts].join(' ');
}

/** Lines of each major: all kinds of the oldest, then those that are new or otherwise. */
export function shapes() {
  const lines = new Map();
  const out = {};
  const newest = declared(18);
  const gone = new Set();
  for (const major of [15, 16, 17]) {
    const at = declared(major);
    out[major] = [...at.kinds].flatMap(([kind, fields]) => {
      const text = line(kind, fields, at);
      if (lines.get(kind) === text) return [];
      lines.set(kind, text);
      return [text];
    });
    for (const kind of lines.keys()) if (!at.kinds.has(kind)) throw new Error(`${kind} is not in ${major}`);
    for (const [name, members] of at.enums)
      if (newest.enums.has(name) && name !== 'Token')
        for (const member of members) if (!newest.enums.get(name).includes(member)) gone.add(member);
    for (const kind of at.kinds.keys())
      if (!newest.kinds.has(kind)) throw new Error(`${kind} is not in 18: it needs a place there`);
  }
  return { out, gone: [...gone].sort() };
}

/** Words that any of the grammars knows as keywords. */
export function keywords() {
  const tokens = [15, 16, 17, 18].flatMap((major) => declared(major).enums.get('Token'));
  const words = tokens.map((token) => token.replace(/_P$/, '').toLowerCase());
  return [...new Set(words)].filter((word) => /^[a-z_]+$/.test(word)).sort();
}

/** Fields that an older grammar has and 18 has not, or otherwise. */
export function differences() {
  const newest = declared(18);
  const found = new Set();
  for (const major of [15, 16, 17])
    for (const [kind, fields] of declared(major).kinds)
      for (const { name, type } of fields)
        if (newest.kinds.get(kind)?.find((one) => one.name === name)?.type !== type)
          found.add(`${kind}.${name}`);
  return [...found].sort();
}

export function source() {
  const { out, gone } = shapes();
  const block = (major) => `  ${major}: \`\n${out[major].join('\n')}\n\`,\n`;
  return `/**
 * Node kinds of the older grammars and their fields: all of 15, then what 16 and 17 have besides or otherwise. \`field:Kind\` is a bare object,
 * \`field:*\` a node, \`[]\` a list; others are scalars. Written by test/suites/shapes.mjs from the packages' own declarations.
 */
export const SHAPES: Readonly<Record<15 | 16 | 17, string>> = {
${block(15)}${block(16)}${block(17)}};

/** Members of enumerations that 18 has no more. */
export const GONE: ReadonlySet<string> = new Set(\`\n${gone.join('\n')}\n\`.trim().split('\\n'));
`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.stdout.write(source());
