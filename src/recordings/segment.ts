/** One append-only file. Bytes are with the operating system when `write` returns; fdatasync runs in the background. */
import * as nodeFs from 'node:fs';
import { dirname } from 'node:path';
import { toFault } from './fault.ts';

/** The file system as the recorder uses it; tests put faults here. */
export interface FileSystem {
  openSync(path: string, flags: string, mode: number): number;
  writeSync(fd: number, data: Buffer, offset: number, length: number): number;
  ftruncateSync(fd: number, length: number): void;
  fdatasync(fd: number, done: (error: Error | null) => void): void;
  closeSync(fd: number): void;
  unlinkSync(path: string): void;
  mkdirSync(path: string, options: { recursive: true; mode: number }): void;
  /** Which file it is (device and inode). */
  fstatSync(fd: number): FileStats;
  stat(path: string): Promise<FileStats>;
}
export interface FileStats {
  readonly dev: bigint;
  readonly ino: bigint;
  readonly size: bigint;
}
export const nodeFileSystem: FileSystem = {
  openSync: nodeFs.openSync,
  writeSync: (fd, data, offset, length) => nodeFs.writeSync(fd, data, offset, length),
  ftruncateSync: nodeFs.ftruncateSync,
  fdatasync: nodeFs.fdatasync,
  closeSync: nodeFs.closeSync,
  unlinkSync: nodeFs.unlinkSync,
  mkdirSync: (path, options) => void nodeFs.mkdirSync(path, options),
  fstatSync: (fd) => nodeFs.fstatSync(fd, { bigint: true }),
  stat: (path) => nodeFs.promises.stat(path, { bigint: true }),
};

const GONE: ReadonlySet<unknown> = new Set(['ENOENT', 'ENOTDIR', 'ESTALE', 'ELOOP']);

export class Segment {
  readonly #fs: FileSystem;
  readonly #fd: number;
  readonly #path: string;
  readonly #file: FileStats;
  readonly #onFault: (error: unknown) => void;
  #length: number;
  #unsynced = false;
  #syncing: Promise<void> | null = null;
  #closed = false;
  /** Bytes of a failed write are behind the last good line: nothing may be appended to them. */
  #torn = false;

  /** `create`: the file must not exist; `continue`: an existing one of `length` good bytes. */
  constructor(
    fs: FileSystem,
    path: string,
    how: { readonly kind: 'create' } | { readonly kind: 'continue'; readonly length: number },
    onFault: (error: unknown) => void,
  ) {
    this.#fs = fs;
    this.#onFault = onFault;
    this.#path = path;
    try {
      fs.mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
      this.#fd = fs.openSync(path, how.kind === 'create' ? 'ax' : 'a', 0o600);
      this.#file = fs.fstatSync(this.#fd);
    } catch (error) {
      throw toFault(error);
    }
    this.#length = how.kind === 'create' ? 0 : how.length;
  }

  get length(): number {
    return this.#length;
  }

  /** false: under its name there is nothing, another file, or less than was written. */
  async stands(): Promise<boolean> {
    const length = this.#length;
    try {
      const { dev, ino, size } = await this.#fs.stat(this.#path);
      return dev === this.#file.dev && ino === this.#file.ino && size >= length;
    } catch (error) {
      // Of what else may fail the next write tells.
      return !(error instanceof Error && 'code' in error && GONE.has(error.code));
    }
  }

  /** All of it or a RecordingFault; what was written of a failed write is cut off again, at the latest before the next one. */
  write(data: Buffer): void {
    if (this.#closed) throw toFault(new Error('The segment takes no more.'));
    let written = 0;
    try {
      if (this.#torn) this.#cut();
      while (written < data.length) {
        const n = this.#fs.writeSync(this.#fd, data, written, data.length - written);
        if (n <= 0) throw new Error('The disk took no bytes.');
        written += n;
      }
    } catch (error) {
      this.#torn = true;
      try {
        this.#cut();
      } catch {
        // Tried again before the next write.
      }
      throw toFault(error);
    }
    this.#length += data.length;
    this.#unsynced = true;
  }

  #cut(): void {
    this.#fs.ftruncateSync(this.#fd, this.#length);
    this.#torn = false;
  }

  /** Resolves when everything written before the call is on disk (or has failed: then `onFault` was told). */
  async sync(): Promise<void> {
    while (this.#syncing !== null) await this.#syncing;
    if (!this.#unsynced || this.#closed) return;
    this.#unsynced = false;
    const syncing = new Promise<void>((resolve) => {
      this.#fs.fdatasync(this.#fd, (error) => {
        // A failed fdatasync may have dropped the pages: nothing written so far may be called safe any more.
        if (error !== null && error !== undefined) this.#onFault(error);
        resolve();
      });
    });
    this.#syncing = syncing;
    await syncing;
    if (this.#syncing === syncing) this.#syncing = null;
  }

  /** Idempotent. No write may follow. */
  async close(): Promise<void> {
    await this.sync();
    if (this.#closed) return;
    this.#closed = true;
    try {
      this.#fs.closeSync(this.#fd);
    } catch (error) {
      this.#onFault(error);
    }
  }
}
