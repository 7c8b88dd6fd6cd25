/** COPY FROM STDIN: entered and left on the server's word, never on the SQL text (WIRE.md "Query flow"). */
import { serialize } from 'pg-protocol';
import { type Core, type Work, within } from './core.ts';
import { WireFault } from './wire/fault.ts';
import { FRONTEND, type Frame } from './wire/frame.ts';

export class CopyIn {
  readonly #c: Core;
  readonly #onData: () => void;
  /** Where the pieces of a large CopyData go. */
  #pieces: 'send' | 'drop' = 'drop';

  constructor(core: Core, onData: () => void) {
    this.#c = core;
    this.#onData = onData;
  }

  /** CopyData, CopyDone, CopyFail. Stray ones are ignored, as the server does. */
  data(frame: Frame): Work {
    const { link } = this.#c;
    if (frame.piece === 'rest') {
      if (this.#pieces === 'drop') return null;
      this.#onData();
      link.copyData(frame.bytes, true);
      return null;
    }
    const under = link.copyIn;
    this.#pieces = under ? 'send' : 'drop';
    if (!under) return null;
    if (frame.type === FRONTEND.copyData) {
      if (frame.bytes.length > HEADER) this.#onData();
      link.copyData(frame.bytes, false);
      return null;
    }
    const { head } = link.replies;
    link.control(frame.bytes, null);
    // A simple Query may have another COPY behind this one.
    return head?.kind === 'query' && head.run !== null ? this.#c.awaitCopy(head.run.plan) : null;
  }

  /**
   * The server ignores Flush and Sync here. Over anything else it fails the COPY and then ends the session: it is given a message that says
   * nothing, so that both errors are its own.
   */
  other(type: number): Work {
    return type === FRONTEND.sync || type === FRONTEND.flush ? null : this.#stray();
  }

  async #stray(): Promise<void> {
    const { link } = this.#c;
    link.control(STRAY, null);
    link.flush();
    await within(
      link.until(() => link.over),
      LAST_WORDS_MS,
    );
    // It had failed over the data in the same moment, and took the message for something else.
    if (!link.over) throw new WireFault('unexpected message during COPY from stdin');
  }
}

/** Of a message without a body. */
const HEADER = 5;
const LAST_WORDS_MS = 2000;

const STRAY = serialize.describe({ type: 'S' });
