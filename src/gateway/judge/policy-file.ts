/**
 * Watches the policy's file. It is read again every second (also where a file is swapped by symbolic links, as Kubernetes does) and
 * taken over when two reads agree, so that a half-written text is not a policy. A text with mistakes changes nothing.
 */
import { readFile, stat } from 'node:fs/promises';
import {
  createPolicyHolder,
  formatMistakes,
  type HeldPolicy,
  type Mistake,
  type PolicyHolder,
  policyVersion,
} from '../../policy/rules/index.ts';
import type { JudgeLog } from './judge.ts';

export type PolicyFileEvent =
  | { readonly kind: 'replaced'; readonly held: HeldPolicy }
  /** Told once per text. */
  | { readonly kind: 'refused'; readonly mistakes: readonly Mistake[] }
  /** Told once: the policy in force stays. */
  | { readonly kind: 'unreadable'; readonly code: string };

export interface PolicyFile {
  readonly holder: PolicyHolder;
  /** Reads now, without waiting for a second read that agrees. */
  reload(): Promise<void>;
  close(): void;
}

const MAX_BYTES = 4 * 1024 * 1024;

/** Rejects with PolicyRefused when the first text has mistakes, with an Error that names the path when it cannot be read. */
export async function watchPolicyFile(
  path: string,
  options: {
    readonly onEvent?: (event: PolicyFileEvent) => void;
    readonly log?: JudgeLog;
    readonly intervalMs?: number;
  } = {},
): Promise<PolicyFile> {
  const first = await read(path).catch((error: unknown) => {
    throw new Error(
      `the policy file ${path} cannot be read (${codeOf(error)}): check the path and its permissions`,
    );
  });
  const holder = createPolicyHolder(first, path);
  /** Version of the last read, waiting for one that agrees. */
  let candidate: string | null = holder.current().version;
  let refused: string | null = null;
  let unreadable: string | null = null;
  let closed = false;
  let timer: NodeJS.Timeout | null = null;

  function tell(event: PolicyFileEvent): void {
    options.onEvent?.(event);
    switch (event.kind) {
      case 'replaced':
        options.log?.info(
          { path, version: event.held.version },
          'the policy file changed: the new policy is in force',
        );
        break;
      case 'refused':
        options.log?.error(
          { path, mistakes: formatMistakes(path, event.mistakes) },
          'the policy file has mistakes: the old policy stays in force',
        );
        break;
      case 'unreadable':
        options.log?.error(
          { path, code: event.code },
          'the policy file cannot be read: the policy stays in force',
        );
        break;
    }
  }

  async function look(settled: boolean): Promise<void> {
    let text: string;
    try {
      text = await read(path);
    } catch (error) {
      const code = codeOf(error);
      if (unreadable !== code && !closed) tell({ kind: 'unreadable', code });
      unreadable = code;
      return;
    }
    unreadable = null;
    if (closed) return;
    const version = policyVersion(text);
    const agrees = settled || candidate === version;
    candidate = version;
    if (!agrees || version === refused) return;
    const result = holder.replace(text);
    refused = result.kind === 'refused' ? version : null;
    if (result.kind !== 'unchanged') tell(result);
  }

  function schedule(): void {
    if (closed) return;
    timer = setTimeout(() => {
      look(false)
        .finally(schedule)
        .catch(() => undefined);
    }, options.intervalMs ?? 1000);
    timer.unref();
  }
  schedule();

  return {
    holder,
    reload: () => look(true),
    close() {
      closed = true;
      if (timer !== null) clearTimeout(timer);
    },
  };
}

async function read(path: string): Promise<string> {
  if ((await stat(path)).size > MAX_BYTES) throw Object.assign(new Error('too large'), { code: 'EFBIG' });
  return readFile(path, 'utf8');
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'EIO';
}
