/** Whether a table is written anew, from the text and, for a column's new type, from the column as it is. */
import type { Impact } from '../../approvals/types.ts';
import type { StatementEffect } from '../../policy/effect.ts';
import { type Retype, writesAnew } from '../../policy/retype.ts';
import type { Seen } from './question.ts';
import type { Surroundings } from './surroundings.ts';

const UTC = /^(?:utc|uct|gmt|zulu|etc\/(?:utc|uct|gmt|zulu|universal))$/i;

export function rewritten(
  effect: StatementEffect | null,
  around: Surroundings | null,
  seen: Seen,
): Impact['rewrites'] {
  if (effect === null) return null;
  const { rewrites, retypes } = effect;
  if (retypes === null) return rewrites === true ? true : 'maybe';
  if (retypes.length === 0) return rewrites;
  const answers = retypes.map((one) => ofColumn(one, around, seen));
  if (rewrites === true || answers.includes(true)) return true;
  return rewrites === null || answers.includes('maybe') ? 'maybe' : false;
}

function ofColumn(one: Retype, around: Surroundings | null, seen: Seen): boolean | 'maybe' {
  const now = around?.columns.find(({ column }) => column === one.column);
  const { resolution } = seen.context;
  // What the session has made may go by the name of a type of the server's own.
  const own =
    one.type?.qualified === true || !(resolution.searchPath ?? ['pg_catalog']).includes('pg_catalog');
  if (now === undefined || !own || seen.approximate) return 'maybe';
  const zone = seen.settings.get('timezone') ?? seen.settings.get('TimeZone');
  return writesAnew(one, now, zone === undefined ? null : UTC.test(zone) ? true : null);
}
