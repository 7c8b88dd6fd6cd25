/**
 * A server that reads a text makes values of its literals, before anything of it runs: of arrays, rows and ranges of users' domains their checks are run
 * with it. What waits for an approver, or is refused, is not sent to be read where that may be so (I1).
 */
import type { CatalogSnapshot, Facts, ResolutionContext } from '../policy/types.ts';
import { harmless } from './impact/safe.ts';
import type { Plan } from './plan.ts';

/** Numbers and parameters are no values of such types until the statement is planned. */
const QUOTED = /'|\$(?!\d)/;

/** May be it runs something of users by itself, merely because it is read? */
export function runsWhenRead(
  it: Plan,
  catalog: CatalogSnapshot | null,
  { changed = [], tempRelations }: ResolutionContext,
): boolean {
  if (!it.judged.some(({ sql }) => QUOTED.test(sql))) return false;
  if (catalog === null) return true;
  const hidden = runByValues(catalog);
  const own = changed.length > 0 || tempRelations.length > 0;
  return it.judged.some(({ facts }) => facts !== null && reaches(facts, hidden, own));
}

/** Types that only the session sees are not in the catalog: then any function that is not known may be theirs. */
const reaches = ({ statements }: Facts, hidden: ReadonlySet<string>, own: boolean): boolean =>
  statements.some(
    ({ functions, relations, unknowns, unresolved }) =>
      unresolved === true ||
      relations.some(({ known }) => !known) ||
      (own && unknowns.length > 0) ||
      functions.some((name) => hidden.has(name)),
  );

const KNOWN = new WeakMap<CatalogSnapshot, ReadonlySet<string>>();
/** Functions of users that making a value of some type runs, as far as they do more than compute. */
export function runByValues(catalog: CatalogSnapshot): ReadonlySet<string> {
  let names = KNOWN.get(catalog);
  if (names === undefined) {
    const called = [
      ...catalog.customOperators.flatMap(({ calls, name }) => (NAME.test(name) ? calls : [])),
      ...catalog.relations.flatMap(({ calls }) =>
        calls.flatMap((one) => (one.on === 'any' ? one.function : [])),
      ),
      ...catalog.functions.flatMap(({ calls }) => calls),
    ];
    names = new Set(called.filter((name) => !harmless(name, catalog)));
    KNOWN.set(catalog, names);
  }
  return names;
}
/** Of a type, not of an operator. */
const NAME = /[\p{L}\d]/u;
