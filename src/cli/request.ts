/** `holdpoint request`: one card for a whole script, ahead of time. Asked at the gateway with the requester's own credential. */
import { type Cli, CommandError, duration } from './context.ts';
import { connected, failed, type Where } from './sql.ts';
import { safe } from './text.ts';

const MAX_BYTES = 256 * 1024;
const POLL_MS = 1000;

export interface RequestOptions extends Where {
  readonly reason?: string;
  readonly wait?: string;
}

/** false: it was refused, or not approved within the wait. */
export async function request(cli: Cli, options: RequestOptions): Promise<boolean> {
  const waitMs = options.wait === undefined ? 0 : duration(options.wait);
  const script = await read(cli.stdin);
  if (script.trim() === '')
    throw new CommandError('There is no SQL on standard input: holdpoint request < migration.sql');
  const startup = [
    '-c holdpoint.ahead=on',
    ...(options.reason === undefined ? [] : [`-c holdpoint.reason=${escaped(options.reason)}`]),
  ];
  const client = await connected(cli, options, 'holdpoint request', startup.join(' '));
  if (client === null) return false;
  try {
    const asked = await client.query<Row>(script);
    const row = asked.rows[0];
    if (row === undefined)
      throw new CommandError('The gateway did not answer as one that can be asked ahead of time; update it.');
    cli.out(
      row.id === ''
        ? `Nothing to ask: ${safe(row.what_next)}.`
        : `${safe(row.id)} ${safe(row.state)} until ${safe(row.expires)}: ${safe(row.what_next)}.`,
    );
    if (row.id === '' || waitMs === 0) return true;
    const until = cli.now() + waitMs;
    while (cli.now() < until) {
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      const { rows } = await client.query<Row>('SHOW holdpoint.requests');
      const now = rows.find(({ id }) => id === row.id);
      if (now?.state === 'pending') continue;
      cli.out(
        now === undefined
          ? `${safe(row.id)} is over.`
          : `${safe(now.id)} ${safe(now.state)} until ${safe(now.expires)}.`,
      );
      return now?.state === 'granted';
    }
    cli.err(`${safe(row.id)} is still pending; the request stays open.`);
    return false;
  } catch (error) {
    if (error instanceof CommandError) throw error;
    return failed(cli, error, true);
  } finally {
    await client.end().catch(() => {});
  }
}

interface Row {
  readonly id: string;
  readonly state: string;
  readonly expires: string;
  readonly what_next: string;
}

/** As the server splits startup options: spaces and backslashes are escaped. */
const escaped = (text: string): string => text.replace(/[\\\s]/g, (one) => `\\${one}`);

async function read(input: Cli['stdin']): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of input) {
    const bytes = Buffer.from(chunk);
    size += bytes.length;
    if (size > MAX_BYTES)
      throw new CommandError(
        `The script is larger than ${MAX_BYTES / 1024} KB, the most that can be judged; ask for it in parts.`,
      );
    chunks.push(bytes);
  }
  return Buffer.concat(chunks).toString('utf8');
}
