/** The server's side of a session: what goes out is cleared, what comes in is walked and matched with the replies that are owed. */
import type { Socket } from 'node:net';
import { serialize } from 'pg-protocol';
import { type Cleared, PROBE, type Question } from '../clearance.ts';
import { toReport } from '../errors.ts';
import type { CatalogNames } from '../judge/names.ts';
import { classOf, type Plan } from '../plan.ts';
import { type Answer, type Expected, expected, Replies } from '../replies.ts';
import type { Run } from '../run.ts';
import {
  decodeDataRow,
  decodeError,
  decodeParameterStatus,
  decodeRowDescription,
  type Field,
  type ServerError,
} from '../wire/backend.ts';
import { errorResponse, withoutPayload } from '../wire/build.ts';
import { WireFault } from '../wire/fault.ts';
import { FRONTEND } from '../wire/frame.ts';
import { BackendWalker, type Fate } from '../wire/walk.ts';
import { Reported } from './reported.ts';
import { withheldError, withheldNotice } from './withhold.ts';
import { BatchWriter } from './writer.ts';

export type TransactionStatus = 'I' | 'T' | 'E';

/** What the session does about it. */
export interface LinkEvents {
  toClient(bytes: Buffer): void;
  /** All that one read brought has been handed on. */
  batchEnded(): void;
  /** Something that was asked for was done, if only a part of it. */
  progressed(): void;
  /** A command of this statement completed. */
  completed(run: Run, tag: string | null): void;
  /** `exposed`: what it was about may be tagged values. */
  failed(run: Run | null, error: ServerError, exposed: boolean): void;
  skipped(run: Run): void;
  /** Nothing more comes for it. */
  finished(run: Run): void;
  ready(status: TransactionStatus): void;
  /** false: the result must not reach the client. */
  fields(run: Run | null, fields: readonly Field[]): boolean;
  /** What the client is told of it; `drop`: nothing, or the session ends. */
  parameter(name: string, value: string): Fate;
  /** Has the target tagged columns at all? */
  tags(): boolean;
  /** Names of the target's objects. */
  names(): CatalogNames;
  ended(why: 'closed' | 'desync'): void;
}

/** Messages that carry no statement, so that they need no clearance. */
const CONTROL: ReadonlySet<number> = new Set([
  FRONTEND.sync,
  FRONTEND.flush,
  FRONTEND.describe,
  FRONTEND.close,
  FRONTEND.copyData,
  FRONTEND.copyDone,
  FRONTEND.copyFail,
  FRONTEND.terminate,
]);

export class ServerLink {
  readonly replies = new Replies();
  readonly #socket: Socket;
  readonly #events: LinkEvents;
  readonly #writer: BatchWriter;
  readonly #walker: BackendWalker;
  #status: TransactionStatus = 'I';
  #skipping = false;
  #syncs = 0;
  readonly #late = new Map<string, Buffer>();
  #copyIn = false;
  /** An answered statement of this transaction touches tagged columns: what the server says may quote them, also later, as at the COMMIT. */
  #exposed = false;
  readonly #reported: Reported;
  #over = false;
  /** Layouts that may be shown, by the plan that had them: a repeat is one comparison. */
  readonly #shown = new WeakMap<Plan, { readonly bytes: Buffer; readonly fields: readonly Field[] }>();
  #waiting: { readonly test: () => boolean; readonly wake: () => void }[] = [];

  /** `parameters`: as reported at login. */
  constructor(socket: Socket, events: LinkEvents, parameters: ReadonlyMap<string, string>) {
    this.#reported = new Reported(parameters);
    this.#socket = socket;
    this.#events = events;
    this.#writer = new BatchWriter(socket);
    this.#walker = new BackendWalker({
      message: (type, bytes) => (this.#over ? 'drop' : this.#message(type, bytes)),
      large: (type) => (this.#over ? 'drop' : this.#large(type)),
      forward: (bytes) => events.toClient(bytes),
    });
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    socket.on('error', () => {});
    socket.on('close', () => this.#end('closed'));
    socket.resume();
  }

  /** As of the last ReadyForQuery. */
  get status(): TransactionStatus {
    return this.#status;
  }
  /** After an error in the extended protocol, until the client's Sync: the server would ignore everything. */
  get skipping(): boolean {
    return this.#skipping;
  }
  /** How many Syncs have gone out: behind each, messages are looked at again. */
  get syncs(): number {
    return this.#syncs;
  }
  get copyIn(): boolean {
    return this.#copyIn;
  }
  get over(): boolean {
    return this.#over;
  }
  /** Work was asked for that is not done. */
  get working(): boolean {
    return this.replies.some(
      ({ kind, run }) => WORKS.has(kind) && (run === null || classOf(run.plan) !== 'empty'),
    );
  }

  /** The one way in for Query, Parse, Bind, Execute and FunctionCall (I1). */
  send(cleared: Cleared, reply: Expected): void {
    const bytes = cleared.spend();
    if (this.#skipping) {
      this.#skip(reply);
      return;
    }
    this.#writer.push(bytes);
    reply.bytes = bytes.length;
    this.replies.push(reply);
  }

  control(bytes: Buffer, reply: Expected | null): void {
    const type = bytes[0];
    if (type === undefined || !CONTROL.has(type)) throw new Error('a statement needs a clearance');
    if (type === FRONTEND.sync) {
      this.#skipping = false;
      this.#syncs += 1;
    }
    if (this.#skipping && (type === FRONTEND.describe || type === FRONTEND.close)) {
      if (reply !== null) this.#skip(reply);
      return;
    }
    this.#writer.push(bytes);
    if (type === FRONTEND.copyDone || type === FRONTEND.copyFail) this.#copyIn = false;
    if (reply !== null) this.replies.push(reply);
  }

  /** Data of a COPY, or the rest of a large CopyData whose beginning went out while the COPY was under way. */
  copyData(bytes: Buffer, rest: boolean): void {
    if (!this.#copyIn && !rest) throw new Error('no COPY is under way');
    this.#writer.push(bytes);
  }

  flush(): boolean {
    return this.#writer.flush();
  }

  drained(): Promise<void> {
    return new Promise((resolve) => {
      if (!this.#socket.writableNeedDrain || this.#over) return resolve();
      const done = (): void => {
        this.#socket.off('drain', done);
        this.#socket.off('close', done);
        resolve();
      };
      this.#socket.on('drain', done);
      this.#socket.on('close', done);
    });
  }

  /** Resolves when `test` holds, asked after each read, and when the link is over. */
  until(test: () => boolean): Promise<void> {
    if (this.#over || test()) return Promise.resolve();
    return new Promise((wake) => this.#waiting.push({ test, wake }));
  }

  /** Nothing is owed any more. */
  quiet(): Promise<void> {
    return this.until(() => this.replies.size === 0);
  }

  /** A question of the gateway's own. The client sees none of it; the caller sees to it that nothing else is owed. */
  async ask({ parse, bind, execute }: Question): Promise<Answer> {
    const answer: Answer = { rows: [], error: null, told: null };
    this.send(parse, expected('parse', { answer }));
    this.send(bind, expected('bind', { answer }));
    this.send(execute, expected('execute', { answer }));
    this.control(CLOSE_PORTAL, expected('close', { answer }));
    this.control(CLOSE_PROBE, expected('close', { answer }));
    this.control(SYNC, expected('sync', { answer }));
    this.flush();
    await this.quiet();
    return answer;
  }

  /** A Parse of the gateway's own, or of the text of `it`. `within` an implicit transaction of the client only its failure is followed by a Sync, as a failing Query's would be. */
  async probe(cleared: Cleared, within: boolean, it: Plan | null = null): Promise<Answer> {
    const answer: Answer = { rows: [], error: null, told: null };
    const of = it === null ? {} : { exposes: it.exposes, text: it.sql };
    this.send(cleared, expected('parse', { answer, ...of }));
    this.control(CLOSE_PROBE, expected('close', { answer }));
    this.control(within ? FLUSH : SYNC, within ? null : expected('sync', { answer }));
    this.flush();
    await this.quiet();
    if (within && answer.error !== null && !this.#over) {
      this.control(SYNC, expected('sync', { answer }));
      this.flush();
      await this.quiet();
    }
    return answer;
  }

  pause(): void {
    this.#socket.pause();
  }
  resume(): void {
    this.#socket.resume();
  }

  /** Says goodbye; the server undoes what is not committed. */
  close(): void {
    if (!this.#over && this.#socket.writable) {
      this.#writer.push(TERMINATE);
      this.#writer.flush();
    }
    this.#end('closed');
    this.#socket.end();
    const timer = setTimeout(() => this.#socket.destroy(), 1000);
    timer.unref();
    this.#socket.once('close', () => clearTimeout(timer));
  }

  #read(chunk: Buffer): void {
    try {
      this.#walker.push(chunk);
    } catch (error) {
      if (!(error instanceof WireFault)) throw error;
      this.#end('desync');
      this.#socket.destroy();
    }
    this.#events.batchEnded();
    this.#wake();
  }

  #wake(): void {
    if (this.#waiting.length === 0) return;
    const due = this.#waiting.filter(({ test }) => this.#over || test());
    this.#waiting = this.#waiting.filter((one) => !due.includes(one));
    for (const { wake } of due) wake();
  }

  #end(why: 'closed' | 'desync'): void {
    if (this.#over) return;
    this.#over = true;
    this.#events.ended(why);
    this.#wake();
  }

  /** An error came while this was being judged: the server would ignore it until Sync. */
  #skip(reply: Expected): void {
    reply.settle?.('skipped');
    if (reply.run !== null) this.#events.skipped(reply.run);
  }

  #large(type: number): 'pass' | 'drop' {
    const { head } = this.replies;
    if (head?.answer) return 'drop';
    if (type === D || type === COPY_ROW) head?.run?.unseen(type === D);
    if (type === NOTIFICATION) return this.#events.tags() ? 'drop' : 'pass';
    return type === NOTICE && this.#exposes(head) ? 'drop' : 'pass';
  }

  #message(type: number, bytes: Buffer): Fate {
    const { head } = this.replies;
    const mine = head?.answer ?? null;
    switch (String.fromCharCode(type)) {
      case 'D':
        if (mine !== null) {
          if (mine.rows.length < 100) mine.rows.push(textRow(bytes));
          return 'drop';
        }
        head?.run?.row(bytes);
        return 'pass';
      case 'd':
        head?.run?.unseen(false);
        return 'pass';
      case 'c':
        return 'pass';
      case 'V':
        if (head?.kind !== 'call') throw new WireFault('replies are out of step');
        head.run?.unseen(false);
        return 'pass';
      case '1':
        return this.#took('parse');
      case '2':
        return this.#took('bind');
      case '3':
        return this.#took('close');
      case 't':
        return 'pass';
      case 'T':
        return this.#layout(head, bytes);
      case 'n':
        head?.fields?.(null);
        return this.#took('describe');
      case 'C':
      case 'I':
      case 's':
        return this.#complete(head, type, bytes);
      case 'E':
        return this.#error(head, bytes);
      case 'Z':
        return this.#ready(head, bytes);
      case 'G':
        this.#copyIn = true;
        return 'pass';
      case 'H':
        return 'pass';
      case 'S': {
        const { name, value } = decodeParameterStatus(bytes);
        const fate = this.#events.parameter(name, value);
        if (fate === 'drop' || !this.#reported.mayShow(name, value, this.#exposes(head))) return 'drop';
        if (mine === null) return fate;
        // A question of the gateway's own may end the transaction, and with it settings of the client's.
        this.#late.set(name, fate === 'pass' ? Buffer.from(bytes) : fate);
        return 'drop';
      }
      case 'N':
        if (mine !== null) return 'drop';
        return this.#exposes(head) ? (withheldNotice(bytes, this.#events.names()) ?? 'drop') : 'pass';
      case 'A':
        // Any session may have sent it, out of whatever it reads.
        return this.#events.tags() ? withoutPayload(bytes) : 'pass';
      default:
        throw new WireFault('the server sent what was not asked for');
    }
  }

  /** May what the server says now quote tagged values? */
  #exposes(head: Expected | null): boolean {
    return this.#exposed || (head?.exposes === true && this.#events.tags());
  }

  /** What was answered exposes until the transaction ends. */
  #shift(): Expected | null {
    const { head } = this.replies;
    this.#exposed = this.#exposes(head);
    return this.replies.shift();
  }

  #took(kind: Expected['kind']): Fate {
    const entry = this.#shift();
    if (entry?.kind !== kind) throw new WireFault('replies are out of step');
    entry.settle?.('done');
    return entry.answer === null ? 'pass' : 'drop';
  }

  #layout(head: Expected | null, bytes: Buffer): Fate {
    if (head?.answer) return 'drop';
    const run = head?.run ?? null;
    const known = run === null ? undefined : this.#shown.get(run.plan);
    if (run !== null && known?.bytes.equals(bytes) === true) {
      run.describe(known.fields);
      return 'pass';
    }
    const fields = decodeRowDescription(bytes);
    run?.describe(fields);
    const may = this.#events.fields(run, fields);
    if (run !== null && may && run.approval === null)
      this.#shown.set(run.plan, { bytes: Buffer.from(bytes), fields });
    if (head?.kind === 'describe') {
      head.fields?.(fields);
      this.#took('describe');
    }
    return may ? 'pass' : 'drop';
  }

  #complete(head: Expected | null, type: number, bytes: Buffer): Fate {
    if (head === null || (head.kind !== 'query' && head.kind !== 'execute'))
      throw new WireFault('replies are out of step');
    if (head.answer !== null) {
      this.#shift();
      return 'drop';
    }
    this.#copyIn = false;
    if (type !== EMPTY) this.#events.progressed();
    if (head.run !== null) this.#reported.ran(head.run.plan);
    if (head.run !== null) this.#events.completed(head.run, type === C ? head.run.complete(bytes) : null);
    if (head.kind === 'execute') {
      this.#shift();
      head.settle?.('done');
      if (head.run !== null) this.#events.finished(head.run);
    }
    return 'pass';
  }

  #error(head: Expected | null, bytes: Buffer): Fate {
    this.#copyIn = false;
    const told = this.#exposes(head) ? withheldError(bytes, head?.text ?? null, this.#events.names()) : null;
    const error = told?.error ?? decodeError(bytes);
    if (head === null || head.kind === 'sync') {
      // A deferred constraint at the implicit commit, or the server is going away.
      this.#events.failed(null, error, told !== null);
      return head?.answer ? 'drop' : (told?.message ?? 'pass');
    }
    head.failed = true;
    if (head.run !== null) head.run.error = error;
    if (head.answer === null) this.#events.failed(head.run, error, told !== null);
    if (head.kind !== 'query' && head.kind !== 'call') {
      this.#shift();
      head.settle?.('failed');
      if (head.run !== null) this.#events.finished(head.run);
      const { skipped, syncFound } = this.replies.takeUntilSync();
      for (const entry of skipped) {
        entry.settle?.('skipped');
        if (entry.run !== null) this.#events.skipped(entry.run);
      }
      this.#skipping = !syncFound;
    }
    if (head.answer !== null) {
      head.answer.error = Buffer.from(bytes);
      head.answer.told = told;
      return 'drop';
    }
    return head.refusal === null ? (told?.message ?? 'pass') : errorResponse(toReport(head.refusal));
  }

  #ready(head: Expected | null, bytes: Buffer): Fate {
    if (head === null || !BRINGS_READY.has(head.kind) || bytes.length !== 6)
      throw new WireFault('replies are out of step');
    const status = String.fromCharCode(bytes[5] ?? 0);
    if (status !== 'I' && status !== 'T' && status !== 'E') throw new WireFault('unknown transaction status');
    this.#shift();
    this.#status = status;
    this.#copyIn = false;
    if (status === 'I') this.#exposed = false;
    // A function call has no command tag: this is where it is known to be done.
    if (head.kind === 'call' && head.run !== null && !head.failed) {
      this.#events.progressed();
      this.#events.completed(head.run, null);
    }
    head.settle?.(head.failed ? 'failed' : 'done');
    if (head.run !== null) this.#events.finished(head.run);
    if (head.answer !== null) return 'drop';
    this.#events.ready(status);
    return this.#late.size === 0 ? 'pass' : Buffer.concat([this.takeLate(), bytes]);
  }

  /** What the client has not been told of its settings: due before its next ReadyForQuery. */
  takeLate(): Buffer {
    const late = Buffer.concat([...this.#late.values()]);
    this.#late.clear();
    return late;
  }
}

const BRINGS_READY: ReadonlySet<Expected['kind']> = new Set(['query', 'call', 'sync']);
const WORKS: ReadonlySet<Expected['kind']> = new Set(['query', 'call', 'parse', 'bind', 'execute']);
const D = 0x44;
const C = 0x43;
const EMPTY = 0x49;
const COPY_ROW = 0x64;
const NOTICE = 0x4e;
const NOTIFICATION = 0x41;
const CLOSE_PORTAL = serialize.close({ type: 'P', name: PROBE });
const CLOSE_PROBE = serialize.close({ type: 'S', name: PROBE });
export const SYNC = Buffer.from([FRONTEND.sync, 0, 0, 0, 4]);
export const FLUSH = Buffer.from([FRONTEND.flush, 0, 0, 0, 4]);
const TERMINATE = Buffer.from([FRONTEND.terminate, 0, 0, 0, 4]);

const textRow = (bytes: Buffer): (string | null)[] =>
  decodeDataRow(bytes).map((value) => value?.toString('utf8') ?? null);
