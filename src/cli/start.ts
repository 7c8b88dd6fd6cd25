/** `holdpoint start`: everything up, then what to paste. */
import type { Running } from '../app.ts';
import { ConfigError, environment, type Flags, loadConfig } from '../config.ts';
import { unsupported } from '../embedded/platform.ts';

export async function start(flags: Flags): Promise<void> {
  const refusal = unsupported();
  if (refusal !== null) fail(refusal);
  const began = Date.now();
  const stopping = new AbortController();
  let running: Running | null = null;
  const stop = (signal: NodeJS.Signals) => {
    if (stopping.signal.aborted) {
      process.stderr.write('\nStill stopping …\n');
      return;
    }
    stopping.abort();
    process.stderr.write(`\nStopping (${signal}) …\n`);
    if (running !== null) void end(running);
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop);
  try {
    const config = loadConfig(flags, environment(), process.cwd());
    // Loaded when the configuration is right: a mistake is told at once.
    const { startApp } = await import('../app.ts');
    running = await startApp(config, (line) => {
      stopping.signal.throwIfAborted();
      process.stderr.write(`  … ${line}\n`);
    });
    if (stopping.signal.aborted) return await end(running);
    process.stdout.write(`${banner(running, Date.now() - began)}\n`);
  } catch (error) {
    // What Ctrl-C breaks off half-way is no failure to tell of.
    if (stopping.signal.aborted) process.exit(0);
    if (error instanceof ConfigError) {
      fail(
        `Holdpoint does not start: ${error.problems.length === 1 ? 'one mistake' : `${error.problems.length} mistakes`} in the configuration.\n${error.problems.map((p) => `  ${p.place}: ${p.message}`).join('\n')}`,
      );
    }
    fail(`Holdpoint does not start: ${error instanceof Error ? error.message : String(error)}`);
  }
}

async function end(running: Running): Promise<never> {
  await running.stop();
  process.exit(0);
}

function fail(text: string): never {
  process.stderr.write(`${text}\n`);
  process.exit(1);
}

/** In this order: the statement to try, psql, DATABASE_URL, the approver's link, what to try. */
export function banner(running: Running, ms: number): string {
  const { gateway, console, agentUrl, approver } = running;
  const login = approver === null ? console.url : approver.link;
  const decided = running.slack === null ? 'in the console' : `in Slack (${running.slack}) or the console`;
  const lines = [
    '',
    `Holdpoint is up (${(ms / 1000).toFixed(1)} s): gateway ${gateway.host}:${gateway.port}, console ${console.url}`,
    ...running.notices.map((notice) => `  ! ${notice}`),
    '',
  ];
  if (agentUrl !== null) {
    lines.push(
      'As the demo agent ("Cursor for Alice"), in another terminal:',
      '',
      '  npx holdpoint sql "DELETE FROM orders WHERE id = 7"',
      '',
      `  psql "${agentUrl}"`,
      '',
      `  DATABASE_URL="${agentUrl}"`,
      '',
    );
  }
  lines.push(
    ...(approver === null
      ? [`Approvers log in at ${console.url} and decide ${decided}.`, '']
      : [
          `As the approver (${approver.name}): decide ${decided}; this link signs in once, within 10 minutes:`,
          '',
          `  ${approver.link}`,
          '',
        ]),
    ...running.otherLinks.flatMap(({ approver, link }) => [`For ${approver}:`, '', `  ${link}`, '']),
  );
  if (agentUrl !== null) {
    lines.push(
      'To try:',
      '  npx holdpoint sql "SELECT id, status FROM orders LIMIT 3"    passes at once',
      '  npx holdpoint sql "SELECT email FROM customer_contacts"      held: PII through a view',
      '  npx holdpoint sql "DROP TABLE orders"                        held: DDL',
      `  npx holdpoint login ${login}`,
      '    and then, instead of the browser: npx holdpoint pending | show | approve | deny, sessions, session ID',
    );
  } else {
    lines.push(
      `Agents and people connect with credentials of their own to database "${running.target}":`,
      `  npx holdpoint login ${login}`,
      `  npx holdpoint credential mint --owner alice@example.com --agent Cursor --group ${running.group ?? 'GROUP'}`,
    );
  }
  lines.push('', 'Ctrl-C stops everything.');
  return lines.join('\n');
}
