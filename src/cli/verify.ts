/** `holdpoint verify ID`, or offline `holdpoint verify FILE…` and `--dir DIR`: is the recording as it was written? */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { verifyFile } from '../recordings/archive.ts';
import { parseSegmentName } from '../recordings/paths.ts';
import type { VerifyResult } from '../recordings/types.ts';
import { connect } from './client.ts';
import { type Cli, CommandError, UsageError } from './context.ts';
import { count, safe } from './text.ts';

export interface VerifyOptions {
  readonly dir?: string;
  readonly key?: string;
}

/** Every recording is told of; one that is broken makes the command fail. */
export async function verify(cli: Cli, what: readonly string[], options: VerifyOptions): Promise<void> {
  if (what.length === 0 && options.dir === undefined)
    throw new UsageError('Name a session, a recording file or `--dir DIR` with recordings.');
  const files = what.filter(isFile);
  if (options.key !== undefined && files.length === 0 && options.dir === undefined)
    throw new UsageError('`--key` is for files: the running gateway verifies its sessions with its own key.');
  let broken = 0;
  const tell = (name: string, result: VerifyResult): void => {
    if (result.kind === 'broken') broken += 1;
    cli.out(`${safe(name)}: ${told(name, result)}`);
  };
  for (const one of what) {
    if (isFile(one)) {
      const path = resolve(cli.cwd, one);
      tell(one, await verifyFile(path, keyFor(cli, path, options)));
    } else {
      const { session, result } = await connect(cli).get<{ session: string; result: VerifyResult }>(
        `/sessions/${encodeURIComponent(one)}/verify`,
      );
      tell(session, result);
    }
  }
  if (options.dir !== undefined) {
    const dir = resolve(cli.cwd, options.dir);
    const paths = recordingsIn(dir);
    if (paths.length === 0) throw new CommandError(`There are no recordings in ${safe(options.dir)}.`);
    for (const path of paths) {
      const result = await verifyFile(join(dir, path), keyFor(cli, join(dir, path), options));
      // Here the name is the claim: a sound recording under another session's name stands in for a lost one.
      const other = result.kind === 'intact' && result.sessionId !== parseSegmentName(path)?.sessionId;
      tell(path, other ? { kind: 'broken', at: 1, why: 'it is the recording of another session' } : result);
    }
  }
  if (broken > 0)
    throw new CommandError(
      `${count(broken, 'recording')} did not hold; keep the files as they are and tell security.`,
    );
}

const isFile = (what: string): boolean => what.endsWith('.jsonl') || /[/\\]/.test(what);

function told(name: string, result: VerifyResult): string {
  if (result.kind === 'broken') return `BROKEN at line ${result.at}: ${safe(result.why)}`;
  const { events, signed, ended, from, sessionId } = result;
  const part = from > 1 ? ` from line ${from} on (what came before is not vouched for)` : '';
  const covered = signed === events ? 'all signed' : `the last ${events - signed} not signed yet`;
  const end = ended ? '' : '; it has no end: still open, killed, or cut off there';
  const whose = name === sessionId ? '' : `session ${safe(sessionId)} `;
  return `${whose}intact${part}, ${count(events, 'event')}, ${covered}${end}`;
}

/** First segments; those that follow are verified with them. */
function recordingsIn(dir: string): string[] {
  try {
    return readdirSync(dir, { recursive: true, encoding: 'utf8' })
      .filter((path) => parseSegmentName(path)?.segment === 1)
      .sort();
  } catch {
    throw new CommandError(`The directory ${safe(dir)} cannot be read.`);
  }
}

/** `--key`, else the public keys that lie with the recordings: those prove no more than their keeper does. */
function keyFor(cli: Cli, path: string, options: VerifyOptions): string {
  if (options.key !== undefined) return read(resolve(cli.cwd, options.key));
  const keys = join(
    options.dir === undefined ? dirname(dirname(path)) : resolve(cli.cwd, options.dir),
    'keys',
  );
  let names: string[] = [];
  try {
    if (statSync(keys).isDirectory()) names = readdirSync(keys).filter((name) => name.endsWith('.pub.pem'));
  } catch {
    // Said below.
  }
  if (names.length === 0)
    throw new UsageError(
      'No public key lies with the recordings; name one with `--key FILE` (keys/<key id>.pub.pem).',
    );
  return names.map((name) => read(join(keys, name))).join('\n');
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    throw new UsageError(`The public key ${safe(path)} cannot be read.`);
  }
}
