/** Why a recording could not be written. The statement it belongs to must not be forwarded (DESIGN.md 11). */
export type FaultCode = 'disk-full' | 'write-failed' | 'gone' | 'closed' | 'too-large' | 'exists' | 'bad-id';

const SENTENCES: Record<FaultCode, string> = {
  'disk-full':
    'The disk that holds the session recordings is full; statements are refused until there is space again.',
  'write-failed':
    'The session recording could not be written; statements are refused until it can be written again.',
  gone: 'The session recording was removed, replaced or cut short while the session was open; its statements are refused.',
  closed: 'The session recording is closed; open a new session.',
  'too-large': 'The statement is too large to be recorded; send a smaller one.',
  exists: 'A recording of a session with this id exists already.',
  'bad-id': 'The session id is not valid: 1 to 64 letters, digits, "-" and "_" are.',
};

export class RecordingFault extends Error {
  override readonly name = 'RecordingFault';
  readonly code: FaultCode;
  constructor(code: FaultCode, cause?: unknown) {
    super(SENTENCES[code], cause === undefined ? undefined : { cause });
    this.code = code;
  }
}

export function toFault(error: unknown): RecordingFault {
  if (error instanceof RecordingFault) return error;
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ENOSPC' || code === 'EDQUOT') return new RecordingFault('disk-full', error);
  if (code === 'EEXIST') return new RecordingFault('exists', error);
  return new RecordingFault('write-failed', error);
}
