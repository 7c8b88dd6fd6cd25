/**
 * Changing a policy while the gateway runs: checked, recorded, written to its file as a whole, then in force for the next statement.
 * Whoever may do this can let anything through, so nobody may unless the configuration names them (SECURITY.md).
 */
import { randomBytes } from 'node:crypto';
import { chown, open, readFile, realpath, rename, stat, unlink } from 'node:fs/promises';
import { lineDiff } from '../policy/line-diff.ts';
import type { PolicyAuthor, PolicyChange, PolicyEditor, PolicyView, PutPolicy } from '../policy/live.ts';
import { type HeldPolicy, type PolicyHolder, parsePolicy, policyVersion } from '../policy/rules/index.ts';
import type { Recorder } from '../recordings/types.ts';
import { openAudit } from './audit.ts';
import type { JudgeLog } from './judge/index.ts';
import type { Target } from './types.ts';

/** Targets of one file share its holder: they change together. */
export interface EditedPolicy {
  readonly target: Pick<Target, 'name' | 'environment' | 'database'>;
  readonly holder: PolicyHolder;
  readonly file: { readonly path: string; reload(): Promise<void> } | null;
}

export interface PolicyEditorDeps {
  readonly policies: readonly EditedPolicy[];
  /** Approver.id of those who may. */
  readonly admins: ReadonlySet<string>;
  readonly recorder: Pick<Recorder, 'open'>;
  /** The last change outlives a restart. */
  readonly kept: {
    load(target: string): PolicyChange | null;
    save(target: string, change: PolicyChange): void;
  };
  readonly now: () => number;
  readonly log: JudgeLog;
}

interface Recorded {
  readonly id: string;
  /** Ends the recording; its id. */
  end(why?: string): string;
}

const MAX_DIFF = 64 * 1024;

export function createPolicyEditor(deps: PolicyEditorDeps): PolicyEditor & { close(): void } {
  const { policies, admins, kept, now, log } = deps;
  const byTarget = new Map(policies.map((one) => [one.target.name, one]));
  const changes = new Map<string, PolicyChange>();
  /** A change that is being made here; whatever else replaces the policy came through the file. */
  let making: { readonly version: string; readonly author: PolicyAuthor; readonly session: string } | null =
    null;
  let last: Promise<unknown> = Promise.resolve();
  const stops: (() => void)[] = [];

  for (const { target, holder } of policies) {
    let before = holder.current();
    const known = kept.load(target.name);
    if (known?.version === before.version) changes.set(target.name, known);
    stops.push(
      holder.onChange((held) => {
        const previous = before;
        before = held;
        note(target, previous, held);
      }),
    );
  }

  function note(target: EditedPolicy['target'], previous: HeldPolicy, held: HeldPolicy): void {
    const by = making?.version === held.version ? making : null;
    const change: PolicyChange = {
      version: held.version,
      previous: previous.version,
      at: now(),
      author: by?.author.name ?? null,
      surface: by?.author.surface ?? null,
      session: by === null ? (record(target, previous, held, null)?.end() ?? null) : by.session,
      diff: diffOf(previous.text, held.text),
    };
    changes.set(target.name, change);
    try {
      kept.save(target.name, change);
    } catch {
      log.warn({ target: target.name }, 'the last change of the policy could not be kept over a restart');
    }
  }

  /** null: it could not be recorded. */
  function record(
    target: EditedPolicy['target'],
    previous: Pick<HeldPolicy, 'text' | 'version'>,
    next: Pick<HeldPolicy, 'text' | 'version'>,
    author: PolicyAuthor | null,
  ): Recorded | null {
    const at = now();
    try {
      const { id, recording } = openAudit(deps.recorder, 'policy', target, author, at);
      const end = (why = 'in force') => {
        recording.close(why);
        return id;
      };
      try {
        recording.append([
          {
            kind: 'policy',
            t: at,
            version: next.version,
            note: author === null ? 'the policy file changed' : `set through the ${author.surface}`,
            author: author?.id ?? null,
            previous: previous.version,
            diff: diffOf(previous.text, next.text),
          },
        ]);
      } catch (error) {
        end('not recorded');
        throw error;
      }
      return { id, end };
    } catch {
      log.error(
        { target: target.name, version: next.version },
        'a change of the policy could not be recorded',
      );
      return null;
    }
  }

  function view(name: string): PolicyView | null {
    const found = byTarget.get(name);
    if (found === undefined) return null;
    const { text, version, warnings } = found.holder.current();
    const change = changes.get(name) ?? null;
    return { target: name, text, version, warnings, path: found.file?.path ?? null, change };
  }

  async function put(name: string, text: string, expected: string, author: PolicyAuthor): Promise<PutPolicy> {
    if (!admins.has(author.id) && author.admin !== true)
      return { kind: 'not-allowed', anybody: admins.size > 0 };
    const found = byTarget.get(name);
    const shown = view(name);
    if (found === undefined || shown === null) return { kind: 'no-target' };
    const { file, holder } = found;
    if (file === null) return { kind: 'no-file' };
    const before = holder.current();
    const parsed = parsePolicy(text);
    const version = policyVersion(text);
    try {
      // What is in the file counts: an edit that is not in force yet, or never will be for its mistakes, is not lost unseen.
      const onDisk = policyVersion(await readFile(file.path, 'utf8'));
      if (onDisk !== expected) return { kind: 'stale', version: onDisk };
      if (parsed.kind === 'mistakes') return { kind: 'mistakes', mistakes: parsed.mistakes };
      if (version === onDisk && version === before.version) return { kind: 'unchanged', view: shown };
      const fresh = await prepare(file.path, text);
      const shared = policies.filter((one) => one.file?.path === file.path);
      const records = shared.map(({ target }) => record(target, before, { text, version }, author));
      let applied = false;
      try {
        const first = records[0];
        if (first === undefined || first === null || records.includes(null)) return { kind: 'unrecorded' };
        making = { version, author, session: first.id };
        await fresh.commit();
        applied = true;
        await file.reload();
      } finally {
        for (const one of records) one?.end(applied ? 'in force' : 'not applied');
        await fresh.discard();
      }
    } catch (error) {
      return { kind: 'unwritable', code: codeOf(error) };
    } finally {
      making = null;
    }
    log.info({ target: name, version, by: author.id }, 'the policy was changed');
    const after = view(name) ?? shown;
    return after.version === version
      ? { kind: 'replaced', view: after }
      : { kind: 'stale', version: after.version };
  }

  return {
    targets: policies.map(({ target }) => target.name),
    view,
    admits: (id) => admins.has(id),
    put(name, text, expected, author) {
      // One after the other: of two that were made from one version, the second is told.
      const done = last.then(() => put(name, text, expected, author));
      last = done;
      return done;
    },
    close() {
      for (const stop of stops) stop();
    },
  };
}

/** The text beside the file it will replace, on disk already. A link stays a link: what it points at is replaced. */
async function prepare(
  path: string,
  text: string,
): Promise<{ commit(): Promise<void>; discard(): Promise<void> }> {
  const real = await realpath(path);
  const { mode, uid, gid } = await stat(real);
  const beside = `${real}.${randomBytes(6).toString('hex')}.new`;
  const discard = () => unlink(beside).catch(() => undefined);
  const handle = await open(beside, 'wx', mode & 0o777);
  try {
    await handle.writeFile(text);
    await handle.chmod(mode & 0o777);
    await handle.sync();
  } catch (error) {
    await discard();
    throw error;
  } finally {
    await handle.close();
  }
  // Only root can keep another owner; a file that one's own user may replace is fine as one's own.
  await chown(beside, uid, gid).catch(() => undefined);
  return { commit: () => rename(beside, real), discard };
}

const diffOf = (before: string, after: string): string => lineDiff(before, after).slice(0, MAX_DIFF);

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'EIO';
}
