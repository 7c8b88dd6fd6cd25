/** Where names resolve from one statement of a session, or of a string, to the next. */
import { schemasAfter } from './facts/path.ts';
import { schemasOf } from './lineage/env.ts';
import { type RelationUse, type ResolutionContext, type StatementFacts, taggedRows } from './types.ts';

const WRITES: ReadonlySet<string> = new Set(['insert', 'update', 'copy-in']);

/** It puts rows there. */
export const putsRows = ({ access }: RelationUse): boolean => WRITES.has(access);

/** `schema.name` of the relations whose rows are known to whoever runs it. */
export function writtenBy({ relations, above = [], columns }: StatementFacts): readonly string[] {
  const names = [
    ...relations.filter(putsRows).map(({ schema, name }) => `${schema ?? ''}.${name}`),
    ...above,
  ];
  return columns.some(({ use }) => use === 'written') ? [...names, ...names.map(taggedRows)] : names;
}

/** Later statements of one string are parsed now but run after the earlier ones: their names may mean something else by then. */
export function after(resolution: ResolutionContext, facts: StatementFacts): ResolutionContext {
  const { searchPath, among: _, ...rest } = resolution;
  let { tempRelations } = rest;
  const before = schemasOf(resolution);
  let schemas = schemasAfter(facts, before);
  const changed = [...(resolution.changed ?? []), ...(facts.changes ?? [])];
  // Whichever of what it runs by name moved them last.
  if (rest.moving === true && reachesByName(facts)) schemas = null;
  for (const effect of facts.effects) {
    if (effect.kind === 'temp-relation') tempRelations = [...tempRelations, effect.name];
    if (effect.kind === 'rollback' || effect.kind === 'rollback-to') schemas = null;
    // What was set for the transaction alone ends with it.
    if (effect.kind === 'commit' && searchPath === null) schemas = null;
  }
  const written = [...(rest.written ?? []), ...writtenBy(facts)];
  const later = { ...rest, tempRelations, changed, written };
  if (schemas === before && searchPath !== null) return { ...later, searchPath };
  return { ...later, searchPath: null, ...(schemas === null ? {} : { among: schemas }) };
}

/** Of one string: what holds by both holds, whichever it is. Of what is made and changed the later one has all that the earlier has. */
export function either(earlier: ResolutionContext, later: ResolutionContext): ResolutionContext {
  if (later.searchPath !== null && earlier.searchPath?.join('\0') === later.searchPath.join('\0'))
    return later;
  const [some, others] = [schemasOf(earlier), schemasOf(later)];
  const { among: _, ...rest } = later;
  const among = some === null || others === null ? {} : { among: [...new Set([...some, ...others])] };
  return { ...rest, searchPath: null, ...among };
}

/** For a string that runs these by name: from there on names may mean what these make of them. */
export function amid(
  resolution: ResolutionContext,
  statements: readonly StatementFacts[],
): ResolutionContext {
  const { tempRelations, changed, written } = statements.reduce(after, resolution);
  return {
    ...resolution,
    tempRelations,
    moving: true,
    ...(changed && { changed }),
    ...(written && { written }),
  };
}

/** Another statement after it may mean something else by the same names. */
export const movesNames = (facts: StatementFacts): boolean =>
  facts.settings.length > 0 ||
  (facts.changes ?? []).length > 0 ||
  facts.effects.some(({ kind }) => MOVING.has(kind));
const MOVING: ReadonlySet<string> = new Set([
  'temp-relation',
  'commit',
  'rollback',
  'rollback-to',
  'discard',
]);

/** It runs a text that is not in it. */
export const reachesByName = ({ effects }: StatementFacts): boolean =>
  effects.some(({ kind }) => kind === 'execute' || kind === 'fetch');
