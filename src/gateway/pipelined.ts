/** What a client has sent already behind the message that is looked at. */
import { MessageFault } from './wire/fault.ts';
import { FRONTEND, type Frame } from './wire/frame.ts';
import { decodeBind, decodeExecute } from './wire/frontend.ts';

/** The Bind of this statement, if the Execute of its portal has been read as well. What is malformed there gets its error in its turn. */
export function executedAhead(frames: Iterable<Frame>, statement: string): Buffer | null {
  try {
    return boundAhead(frames, statement);
  } catch (error) {
    if (error instanceof MessageFault) return null;
    throw error;
  }
}

function boundAhead(frames: Iterable<Frame>, statement: string): Buffer | null {
  let bound: { readonly bytes: Buffer; readonly portal: string } | null = null;
  for (const frame of frames) {
    if (frame.type === FRONTEND.sync || frame.type === FRONTEND.query || frame.type === FRONTEND.parse)
      return null;
    if (frame.type === FRONTEND.bind && bound === null) {
      const bind = decodeBind(frame.bytes);
      if (bind.statement !== statement) return null;
      bound = { bytes: frame.bytes, portal: bind.portal };
    }
    if (frame.type === FRONTEND.execute && bound !== null)
      return decodeExecute(frame.bytes).portal === bound.portal ? bound.bytes : null;
  }
  return null;
}
