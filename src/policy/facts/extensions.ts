/** Extensions whose functions only compute: a reviewed list of names, whatever an extension says of a function itself. */
import type { CatalogFunction } from '../types.ts';
import { EXTENSION_FUNCTIONS } from './extension-functions.ts';

const COMPUTING: ReadonlyMap<string, ReadonlySet<string>> = new Map(
  Object.entries(EXTENSION_FUNCTIONS).map(([name, functions]) => [
    name,
    new Set(functions.trim().split(/\s+/)),
  ]),
);
/** An overload in another language is none of those that were looked at. SQL is read besides, as everybody's is. */
const LANGUAGES: ReadonlySet<string> = new Set(['c', 'internal', 'sql']);

export function onlyComputes(fn: CatalogFunction): boolean {
  // Made by CREATE TYPE … AS RANGE. Comparisons of users that they run are among their `calls`.
  if (fn.language === 'internal' && /^(?:multi)?range_constructor\d$/.test(fn.body ?? '')) return true;
  if (fn.extension === null || !LANGUAGES.has(fn.language)) return false;
  return COMPUTING.get(fn.extension)?.has(fn.name) === true;
}
