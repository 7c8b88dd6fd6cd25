/** Every command with its options, and how it ends: 0 done, 1 failed, 2 called wrongly. */
import { Command, CommanderError } from 'commander';
import { type Cli, CommandError, UsageError } from './context.ts';

const collect = (value: string, all: readonly string[]): string[] => [...all, value];

/** Commands are loaded when they are called: `holdpoint pending` does not pay for the gateway. */
function build(cli: Cli, version: string, done: (code: number) => void): Command {
  const program = new Command('holdpoint')
    .description('Holds risky SQL of AI agents and people until a human approves it.')
    .version(version)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => cli.out(text.replace(/\n$/, '')),
      writeErr: (text) => cli.err(text.replace(/\n$/, '')),
    })
    .showHelpAfterError('(holdpoint --help lists the commands)');

  program
    .command('start')
    .description('start the gateway, the console and, without a target of your own, a demo database')
    .option('--target <name=url>', 'a database to put behind the gateway; may be repeated', collect, [])
    .option('--config <file>', 'configuration file (default: holdpoint.yaml, where it exists)')
    .option('--data <dir>', 'where keys, recordings and the embedded database live (default: .holdpoint)')
    .action(async (options: { target: string[]; config?: string; data?: string }) => {
      await (await import('./start.ts')).start(options);
    });
  program
    .command('health')
    .description('is what was started with this data directory ready: its store, recorder and targets')
    .option('--alive', 'ask only whether it lives')
    .option('--config <file>', 'configuration file (default: holdpoint.yaml, where it exists)')
    .option('--data <dir>', 'data directory of `holdpoint start`')
    .action(async (options: { alive?: boolean; config?: string; data?: string }) => {
      if (!(await (await import('./health.ts')).health(cli, options))) done(1);
    });
  program
    .command('sql <sql>')
    .description('run SQL through the gateway as the demo agent (or --url)')
    .option('--url <url>', 'connection URL of the gateway')
    .option('--data <dir>', 'data directory of `holdpoint start`')
    .action(async (text: string, options: { url?: string; data?: string }) => {
      if (!(await (await import('./sql.ts')).sql(cli, text, options))) done(1);
    });

  program
    .command('request')
    .description(
      'ask for approval of a script ahead of time: holdpoint request < migration.sql; nothing of it runs',
    )
    .option('--target <name>', 'a target of the gateway (default: that of the URL)')
    .option('--url <url>', 'connection URL of the gateway (default: HOLDPOINT_URL, or the demo agent’s)')
    .option('--reason <text>', 'why, with a ticket where a rule asks for one')
    .option('--wait <duration>', 'wait so long for the decision; exit code 1 when it is not approved by then')
    .option('--data <dir>', 'data directory of `holdpoint start`')
    .action(async (options) => {
      if (!(await (await import('./request.ts')).request(cli, options))) done(1);
    });

  program
    .command('login <link>')
    .description('log in here: trade the one-time link (or what /terminal of the console shows) for a token')
    .action(async (link: string) => (await import('./login.ts')).login(cli, link));
  program
    .command('link')
    .description('print a one-time link that signs your browser in to the console')
    .action(async () => (await import('./login.ts')).link(cli));
  program
    .command('pending')
    .description('list what waits for a decision')
    .action(async () => (await import('./pending.ts')).pending(cli));
  program
    .command('show <id>')
    .description('show a request in full')
    .action(async (id: string) => (await import('./show.ts')).show(cli, id));
  program
    .command('approve <id> [reason...]')
    .description('approve a request')
    .option('--yes', 'also what is asked about once more: DDL, and what touches every row')
    .action(async (id: string, reason: string[], options: { yes?: boolean }) =>
      (await import('./decide.ts')).decide(cli, id, 'approve', reason.join(' '), options.yes),
    );
  program
    .command('deny <id> [reason...]')
    .description('deny a request; the agent reads the reason')
    .action(async (id: string, reason: string[]) =>
      (await import('./decide.ts')).decide(cli, id, 'deny', reason.join(' ')),
    );

  program
    .command('count <id>')
    .description('count exactly what a pending request would touch')
    .action(async (id: string) => (await import('./decide.ts')).count(cli, id));
  program
    .command('reveal <id>')
    .description('show what a pending request hides, where policy lets you look; it is recorded')
    .action(async (id: string) => (await import('./decide.ts')).reveal(cli, id));
  program
    .command('withdraw <id> [note...]')
    .description('take back a request of your own')
    .action(async (id: string, note: string[]) =>
      (await import('./decide.ts')).withdraw(cli, id, note.join(' ')),
    );
  program
    .command('reason <id> <words...>')
    .description('say why a request of your own is made')
    .action(async (id: string, words: string[]) =>
      (await import('./decide.ts')).explain(cli, id, words.join(' ')),
    );

  program
    .command('sessions [owner]')
    .description('list recorded sessions, newest first')
    .option('--since <time>', 'a duration such as 7d, or a date')
    .action(async (owner: string | undefined, options: { since?: string }) =>
      (await import('./sessions.ts')).sessions(cli, owner, options),
    );
  program
    .command('session <id>')
    .description('show what a session sent and what came back')
    .action(async (id: string) => (await import('./session.ts')).session(cli, id));
  program
    .command('verify [what...]')
    .description(
      'check that recordings are as they were written: sessions of the running gateway, or files, offline',
    )
    .option('--dir <dir>', 'every recording in this directory, offline')
    .option('--key <file>', 'public key for files (default: keys/ of their directory)')
    .action(async (what: string[], options: { dir?: string; key?: string }) =>
      (await import('./verify.ts')).verify(cli, what, options),
    );

  const credential = program.command('credential').description('credentials of agents and people');
  credential
    .command('mint')
    .description('make a short-lived database credential')
    .option('--owner <email>', 'the accountable person (default: you)')
    .option('--name <name>', 'the owner’s name')
    .option('--agent <name>', 'what acts for the owner, such as Cursor; leave out for a person')
    .option('--group <group>', 'a group, which gives the access level; may be repeated', collect, [])
    .option('--ttl <duration>', 'how long it lives', '8h')
    .option('--data <dir>', 'data directory of `holdpoint start`')
    .action(async (options) => (await import('./credential.ts')).mint(cli, options));
  credential
    .command('revoke <id>')
    .description('end a credential and its sessions')
    .action(async (id: string) => (await import('./credential.ts')).revoke(cli, id));

  program
    .command('alerts')
    .description('list who keeps sending destructive statements, or failing to log in')
    .action(async () => (await import('./people.ts')).alerts(cli));
  program
    .command('logins')
    .description('list logins that failed, counted by owner and address; for auditors and administrators')
    .option('--since <time>', 'a duration such as 7d, or a date', '24h')
    .action(async (options: { since: string }) => (await import('./logins.ts')).logins(cli, options));
  program
    .command('suspend <owner>')
    .description(
      'let a person (or whoever an alert AL-… is about) and their agents in no more: sessions end, requests are withdrawn, grants void',
    )
    .action(async (owner: string) => (await import('./people.ts')).suspend(cli, owner));
  program
    .command('resume <owner>')
    .description('lift a suspension')
    .action(async (owner: string) => (await import('./people.ts')).resume(cli, owner));

  const policy = program.command('policy').description('try and check policies');
  policy
    .command('explain')
    .description('read SQL on standard input and print its verdict')
    .option('--jsonl', 'read {"sql": "…"} lines and answer each with a line')
    .option('--target <name>', 'judge with this target’s catalog and policy (asks the running gateway)')
    .option('--policy <file>', 'policy file (default: the default policy)')
    .option('--owner <email>', 'as if this person were accountable')
    .option('--agent <name>', 'as if this agent asked')
    .option('--group <group>', 'as if in this group; may be repeated', collect, [])
    .option('--environment <name>', 'as if the target were of this environment')
    .option('--at <time>', 'as if it were then, such as 2026-11-21T22:30:00Z')
    .option('--server <major>', 'as if PostgreSQL of this major version ran it: 15 to 18 (default: 18)')
    .action(async (options) => (await import('./policy.ts')).explain(cli, options));
  policy
    .command('check <file>')
    .description('check a policy file: mistakes, and rules that can never decide')
    .option('--strict', 'warnings fail, too')
    .action(async (file: string, options) => (await import('./policy.ts')).check(cli, file, options));
  policy
    .command('test <policy> [cases]')
    .description('run the cases beside a policy (policy.yaml: policy.test.yaml)')
    .action(async (file: string, cases: string | undefined) =>
      (await import('./policy.ts')).test(cli, file, cases),
    );
  policy
    .command('schema')
    .description('print the JSON Schema of policy files, for editors')
    .action(async () => (await import('./policy.ts')).printSchema(cli));
  policy
    .command('show')
    .description('print the policy in force (asks the running gateway)')
    .option('--target <name>', 'of this target (default: the first)')
    .option('--diff', 'its version and last change instead of its text')
    .action(async (options) => (await import('./policy-live.ts')).show(cli, options));
  policy
    .command('set <file>')
    .description('put a policy in force; only for identity.policy_admins')
    .option('--target <name>', 'at this target (default: the first)')
    .option('--base <version>', 'refuse when another version than this is in force')
    .action(async (file: string, options) => (await import('./policy-live.ts')).set(cli, file, options));
  policy
    .command('suggest')
    .description('look for columns to tag as pii, by names and a sample of values; prints YAML')
    .requiredOption('--target <name>', 'a target of the running gateway')
    .action(async (options) => (await import('./policy-suggest.ts')).suggest(cli, options));
  policy
    .command('replay')
    .description(
      'back-test: what a policy would have done to recorded sessions; exit code 3 when something changes',
    )
    .option('--since <time>', 'a duration such as 7d, or a date', '7d')
    .option(
      '--policy <file>',
      'the candidate (default: the policy in force, compared with what was recorded)',
    )
    .option('--target <name>', 'a target of the running gateway, judged with its catalog')
    .option('--dir <dir>', 'recordings in this directory, offline, without a catalog')
    .option('--against <file>', 'offline: compare with this policy instead of what was recorded')
    .option('--json', 'print the report as JSON')
    .action(async (options) => done(await (await import('./policy-replay.ts')).replay(cli, options)));
  policy
    .command('default')
    .description('print the default policy')
    .action(async () => (await import('./policy.ts')).printDefault(cli));
  return program;
}

/** Runs one command line (without the interpreter and script). Never rejects. */
export async function run(args: readonly string[], cli: Cli, version: string): Promise<number> {
  let code = 0;
  try {
    await build(cli, version, (failed) => {
      code = failed;
    }).parseAsync([...args], { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    const known = error instanceof CommandError;
    cli.err(
      `holdpoint: ${known ? error.message : `something unexpected went wrong (${nameOf(error)}); please report it.`}`,
    );
    return error instanceof UsageError ? 2 : 1;
  }
  return code;
}

/** Messages of drivers may hold values: the kind of error is enough. */
function nameOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown';
  return 'code' in error ? `${error.name} ${String(error.code)}` : error.name;
}
