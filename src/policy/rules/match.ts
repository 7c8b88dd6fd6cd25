/**
 * Does a statement match? The same criteria are read two ways, so that doubt always ends on the careful side:
 *
 * - **restrict** (the `match` of hold, deny and mask rules; the `unless` of allow rules): one relation, column, class or function
 *   of the statement that matches is enough, and an unresolved name may be anything.
 * - **permit** (the `match` of allow rules; the `unless` of the others): everything the statement touches must match, and what is
 *   not known matches nothing. `DELETE FROM scratch.a USING hr.b` is not excepted by `unless: {relations: [scratch.*]}`.
 */
import type { PolicyContext, StatementClass, StatementFacts } from '../types.ts';
import { type GlobParts, type Leaning, matchesName, matchesWord, splitGlob } from './glob.ts';
import type { Match } from './types.ts';
import { inWindow } from './window.ts';

export type Matcher = (statement: StatementFacts, context: PolicyContext) => boolean;

/** One key of a match; `columns`, `tags` and `use` are one criterion: they speak of one and the same column. */
export interface Criterion {
  readonly keys: readonly (keyof Match)[];
  readonly test: Matcher;
}

export function compileMatch(match: Match, leaning: Leaning): Matcher {
  const all = criteria(match, leaning);
  return (statement, context) => all.every(({ test }) => test(statement, context));
}

export function criteria(match: Match, leaning: Leaning): readonly Criterion[] {
  const found: Criterion[] = [];
  const add = (keys: readonly (keyof Match)[], test: Matcher): void => {
    found.push({ keys, test });
  };
  const some = leaning === 'restrict';
  const over = <T>(items: readonly T[], test: (item: T) => boolean): boolean =>
    // An empty list satisfies nobody: a statement whose relations are not known must not slip through "all of none".
    some ? items.some(test) : items.length > 0 && items.every(test);

  if (match.classes) {
    const wanted = new Set<StatementClass>(match.classes);
    add(['classes'], (statement) =>
      over(some ? [...classesOf(statement), ...readClass(statement)] : classesOf(statement), (name) =>
        wanted.has(name),
      ),
    );
  }
  if (match.relations) {
    const globs = compile(match.relations, 2);
    add(['relations'], (statement) =>
      over(statement.relations, ({ schema, name, known }) =>
        globs.some((glob) => matchesName(glob, [known ? schema : null, name], leaning)),
      ),
    );
  }
  if (match.functions) {
    const globs = compile(match.functions, 2);
    add(['functions'], (statement) =>
      over(statement.functions, (name) => {
        const dot = name.indexOf('.');
        const parts = dot < 0 ? [null, name] : [name.slice(0, dot), name.slice(dot + 1)];
        return globs.some((glob) => matchesName(glob, parts, leaning));
      }),
    );
  }
  if (match.columns || match.tags || match.use) {
    const globs = match.columns ? compile(match.columns, 3) : null;
    const tags = match.tags ? new Set(match.tags) : null;
    const uses = match.use ? new Set<string>(match.use) : null;
    const keys = (['columns', 'tags', 'use'] as const).filter((key) => match[key] !== undefined);
    add(keys, (statement) =>
      over(
        statement.columns,
        ({ schema, relation, column, tag, use }) =>
          (globs === null || globs.some((glob) => matchesName(glob, [schema, relation, column], leaning))) &&
          (tags === null || tags.has(tag)) &&
          (uses === null || uses.has(use)),
      ),
    );
  }
  if (match.missing_where !== undefined) {
    const wanted = match.missing_where;
    add(['missing_where'], (statement) => statement.missingWhere === wanted);
  }
  if (match.rows_over !== undefined) {
    const limit = match.rows_over;
    add(['rows_over'], ({ rows }) => (rows === undefined ? some : rows > limit));
  }
  for (const [key, word] of [
    ['targets', ({ target }: PolicyContext) => target],
    ['environments', ({ environment }: PolicyContext) => environment],
    ['owners', ({ owner }: PolicyContext) => owner],
    ['agents', ({ agent }: PolicyContext) => agent],
  ] as const) {
    const globs = match[key];
    if (!globs) continue;
    add([key], (_statement, context) => {
      const value = word(context);
      return value !== null && globs.some((glob) => matchesWord(glob, value));
    });
  }
  if (match.groups) {
    const globs = match.groups;
    add(['groups'], (_statement, { groups }) =>
      groups.some((group) => globs.some((glob) => matchesWord(glob, group))),
    );
  }
  if (match.transaction) {
    const wanted = new Set<string>(match.transaction);
    add(['transaction'], (_statement, { transaction }) => wanted.has(transaction));
  }
  if (match.time) {
    const window = match.time;
    add(['time'], (_statement, { now }) => (now === undefined ? some : inWindow(window, now)));
  }
  return found;
}

/** Its own class, and those of everything it does on the way: a CTE's DELETE, a trigger's, a cascade's. */
export function classesOf(statement: StatementFacts): readonly StatementClass[] {
  const classes = new Set<StatementClass>([statement.class]);
  for (const { access } of statement.relations) {
    switch (access) {
      case 'insert':
      case 'update':
      case 'delete':
      case 'truncate':
      case 'ddl':
        classes.add(access);
        break;
      case 'table-lock':
        classes.add('lock');
        break;
      case 'copy-in':
        // COPY … FROM inserts: what is said of inserts holds for it.
        classes.add('copy').add('insert');
        break;
      case 'copy-out':
        classes.add('copy');
        break;
      case 'read':
      case 'lock':
        break;
    }
  }
  if (statement.unknowns.length > 0) classes.add('unknown');
  return [...classes];
}

/** Reading on the way counts where reading is restricted; it never makes a permission fail. */
export function readClass(statement: StatementFacts): readonly StatementClass[] {
  return statement.relations.some(({ access }) => access === 'read') ? ['read'] : [];
}

function compile(globs: readonly string[], max: number): readonly GlobParts[] {
  return globs.map((glob) => {
    const parts = splitGlob(glob, max);
    // The schema let it through: a difference between the two is a bug, and a bug denies (verdict.ts).
    if (typeof parts === 'string') throw new Error(`glob ${parts}`);
    return parts;
  });
}
