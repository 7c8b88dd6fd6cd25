/** Can recordings be written now? A few bytes are, beside them. */
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { toFault } from './fault.ts';

/** A page: a full disk may still take an empty file. */
const PROBE = Buffer.alloc(4096, '.');

/** null: they can; else the sentence that refused statements carry. */
export async function probeRecordings(dir: string): Promise<string | null> {
  const path = join(dir, `.probe-${process.pid}`);
  try {
    await writeFile(path, PROBE, { mode: 0o600 });
    return null;
  } catch (error) {
    return toFault(error).message;
  } finally {
    await rm(path, { force: true }).catch(() => undefined);
  }
}
