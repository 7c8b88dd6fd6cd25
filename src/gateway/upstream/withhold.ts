/**
 * What a client may read of the target's errors and notices while tagged values may be in them (I3). Nothing is believed of such a message
 * but its level: its text, its code, its position and the objects that it names can all be chosen by a function of users, out of values.
 */
import type { CatalogNames } from '../judge/names.ts';
import { decodeFields, type ServerError } from '../wire/backend.ts';
import { reportFields } from '../wire/build.ts';
import { CONDITIONS } from './conditions.ts';
import { echo } from './echo.ts';
import { copyPlace, objectsOf, ownWords, violation } from './own-words.ts';

export interface Told {
  /** For the client. */
  readonly message: Buffer;
  /** For the record: nothing of the statement's own text, which may hold tagged literals. */
  readonly error: ServerError;
}

/** The place in the server's source, and the level. */
const PLAIN = ['S', 'V'] as const;
const PLACE = ['F', 'L', 'R'] as const;

/** `text`: what the client sent, as far as the error may be about it. */
export function withheldError(bytes: Buffer, text: string | null, names: CatalogNames): Told {
  const fields = decodeFields(bytes);
  const code = codeOf(fields);
  const objects = objectsOf(fields, names);
  const own = ownWords(fields.get('M') ?? '', names) ?? violation(code, objects);
  const echoed = own === null ? echo(fields, text, names) : null;
  const recorded = own ?? withheldText(code);
  const told = new Map<string, string>();
  const put = (key: string, value: string | null | undefined): void => {
    if (value !== null && value !== undefined) told.set(key, value);
  };
  for (const key of PLAIN) put(key, fields.get(key));
  put('C', code);
  put('M', echoed?.message ?? recorded);
  put('H', echoed?.hint);
  if (echoed !== null) put('P', fields.get('P'));
  put('W', copyPlace(fields, names));
  put('s', objects.schema);
  put('t', objects.table);
  put('c', objects.column);
  put('n', objects.constraint);
  for (const key of PLACE) put(key, fields.get(key));
  return {
    message: reportFields('E', told),
    error: {
      severity: fields.get('V') ?? fields.get('S') ?? 'ERROR',
      code,
      message: recorded,
      routine: fields.get('R') ?? '',
      hint: null,
      position: null,
    },
  };
}

/** Only what the server says in words of its own, as about the transaction itself. null: nothing. */
export function withheldNotice(bytes: Buffer, names: CatalogNames): Buffer | null {
  const fields = decodeFields(bytes);
  const own = ownWords(fields.get('M') ?? '', names);
  if (own === null) return null;
  const told = new Map<string, string>();
  for (const key of PLAIN) told.set(key, fields.get(key) ?? 'NOTICE');
  told.set('C', codeOf(fields));
  told.set('M', own);
  return reportFields('N', told);
}

/** Five letters and digits hold a value as well: one that PostgreSQL does not define becomes that of a RAISE without any. */
function codeOf(fields: ReadonlyMap<string, string>): string {
  const code = fields.get('C') ?? 'XX000';
  return CONDITIONS.has(code) ? code : 'P0001';
}

const withheldText = (code: string): string =>
  `error ${code} of the target (${(CONDITIONS.get(code) ?? '').replaceAll('_', ' ')}); its text is withheld, because it may quote values of tagged columns that this statement touches`;
