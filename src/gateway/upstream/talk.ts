/** Questions of the gateway's own on a link that is no client's yet, one at a time. */
import type { Socket } from 'node:net';
import { serialize } from 'pg-protocol';
import { decodeDataRow, decodeError, decodeParameterStatus } from '../wire/backend.ts';
import type { MessageReader } from './messages.ts';

export interface TalkAnswer {
  /** The last row; null: there was none. */
  readonly row: readonly (string | null)[] | null;
  /** SQLSTATE of what went wrong. */
  readonly code: string | null;
}

export class Talk {
  readonly socket: Socket;
  readonly reader: MessageReader;
  /** As reported so far. */
  readonly parameters: Map<string, string>;

  constructor(socket: Socket, reader: MessageReader, parameters: Map<string, string>) {
    this.socket = socket;
    this.reader = reader;
    this.parameters = parameters;
  }

  /** Rejects with an UpstreamFault when no answer comes. */
  async ask(text: string): Promise<TalkAnswer> {
    this.socket.write(serialize.query(text));
    let row: TalkAnswer['row'] = null;
    let code: string | null = null;
    for (;;) {
      const message = await this.#next(code);
      if (message === null) return { row, code };
      switch (String.fromCharCode(message[0] ?? 0)) {
        case 'D':
          row = decodeDataRow(message).map((value) => value?.toString('utf8') ?? null);
          break;
        case 'E':
          code = decodeError(message).code;
          break;
        case 'S': {
          const { name, value } = decodeParameterStatus(message);
          this.parameters.set(name, value);
          break;
        }
        case 'Z':
          return { row, code };
        default:
          break;
      }
    }
  }

  /** null: it gave an error and was gone. */
  async #next(code: string | null): Promise<Buffer | null> {
    try {
      return await this.reader.next();
    } catch (error) {
      if (code === null) throw error;
      return null;
    }
  }

  /** Says goodbye. */
  leave(): void {
    this.reader.detach();
    this.socket.resume();
    this.socket.end(serialize.end());
    // A peer that neither reads nor closes is not waited for.
    const timer = setTimeout(() => this.socket.destroy(), 1000);
    timer.unref();
    this.socket.once('close', () => clearTimeout(timer));
  }
}
