/**
 * What a client may read of the target's errors and notices. Their texts quote values (22P02 a cast's input, 42704 a setting's name, 23502 the
 * whole failing row), so that a predicate alone would read tagged columns out (I3; LIBRARIES.md "Lineage").
 */
import { decodeFields } from '../wire/backend.ts';
import { reportFields } from '../wire/build.ts';

/** Their MESSAGE names relations, columns, constraints and states of the session, never a value. */
const NAMES_ONLY: ReadonlySet<string> = new Set([
  ...['08', '23', '25', '26', '34', '3B', '3D', '40', '44', '53', '54', '57'],
  ...['21000', '22001', '22012', '42501', '55P03'],
]);
/** Their DETAIL prints a whole row: of any table that a statement, its cascades and its triggers write. */
const PRINTS_ROW: ReadonlySet<string> = new Set(['23502', '23514', '44000']);
/** Severity, code, message, the objects' names and the place in the server's source. */
const PLAIN: ReadonlySet<string> = new Set([...'SVCMstcdnFLR']);

/**
 * null: as it is. `exposed`: a statement of this transaction touches tagged columns. A position points into the client's own text: such an
 * error is one of parse analysis, before any value was read. `tags`: has the target tagged columns at all?
 */
export function withheldError(message: Buffer, exposed: boolean, tags: () => boolean): Buffer | null {
  const fields = decodeFields(message);
  const code = fields.get('C') ?? 'XX000';
  if (!exposed) {
    if (!PRINTS_ROW.has(code) || !fields.has('D') || !tags()) return null;
    fields.delete('D');
    return reportFields('E', fields);
  }
  if (fields.has('P')) return null;
  for (const key of fields.keys()) if (!PLAIN.has(key)) fields.delete(key);
  if (!NAMES_ONLY.has(code) && !NAMES_ONLY.has(code.slice(0, 2)))
    fields.set(
      'M',
      `error ${code} of the target; its text is withheld, because it may quote values of tagged columns that this statement touches`,
    );
  return reportFields('E', fields);
}

/** May it go out although tagged columns are touched? Only what tells about the transaction itself. */
export function showsNotice(message: Buffer): boolean {
  return decodeFields(message).get('C')?.startsWith('25') === true;
}
