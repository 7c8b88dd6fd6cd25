/** `holdpoint health`: what a container's health check runs. It asks the process of the data directory that is configured here. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { type Flags, findDataDir } from '../config.ts';
import { type Cli, CommandError } from './context.ts';
import { safe } from './text.ts';

const TIMEOUT_MS = 4_000;
const started = z.object({ console: z.url({ protocol: /^https?$/ }) });
const answered = z.object({
  ready: z.boolean(),
  parts: z.array(z.object({ name: z.string(), ready: z.boolean(), why: z.string().nullable() })),
});

/** false: something is not ready, and it is said what. Rejects when nothing answers. */
export async function health(cli: Cli, flags: Flags & { readonly alive?: boolean }): Promise<boolean> {
  const dir = findDataDir(flags, cli.env, cli.cwd);
  const answer = await ask(consoleOf(dir), flags.alive === true ? '/healthz' : '/readyz', dir);
  if (flags.alive === true) {
    await answer.arrayBuffer();
    cli.out(answer.ok ? 'alive' : `not alive (${answer.status})`);
    return answer.ok;
  }
  const parsed = answered.safeParse(await answer.json().catch(() => null));
  if (!parsed.success) throw new CommandError(`What answers for ${dir} is no Holdpoint. Start one.`);
  for (const { name, why } of parsed.data.parts)
    cli.out(`${safe(name)}: ${why === null ? 'ready' : safe(why)}`);
  return parsed.data.ready;
}

function consoleOf(dir: string): string {
  try {
    return started.parse(JSON.parse(readFileSync(join(dir, 'run.json'), 'utf8'))).console;
  } catch {
    throw new CommandError(
      `Nothing was started with the data directory ${dir}. Name another one with --data or HOLDPOINT_DATA.`,
    );
  }
}

async function ask(url: string, path: string, dir: string): Promise<Response> {
  try {
    return await fetch(new URL(path, url), { redirect: 'error', signal: AbortSignal.timeout(TIMEOUT_MS) });
  } catch {
    throw new CommandError(`Holdpoint with the data directory ${dir} does not answer. Is it running?`);
  }
}
