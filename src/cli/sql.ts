/** `holdpoint sql "…"`: an ordinary wire client. It has the agent's credential and no other way to the database. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { type Cli, CommandError, dataDir } from './context.ts';
import { safe, table } from './text.ts';

const CONNECT_MS = 10_000;
/** Text formats of these types read better aligned to the right: integers, oid, floats, numeric. */
const NUMBERS = new Set([20, 21, 23, 26, 700, 701, 1700]);

export interface Where {
  readonly url?: string;
  readonly data?: string;
  readonly target?: string;
}

export async function sql(cli: Cli, text: string, where: Where): Promise<boolean> {
  const client = await connected(cli, where, 'holdpoint sql', null);
  if (client === null) return false;
  try {
    const results = await client.query<(string | null)[]>({ text, rowMode: 'array' });
    // Several statements give an array, which the types do not know of.
    const list: readonly pg.QueryArrayResult<(string | null)[]>[] = Array.isArray(results)
      ? results
      : [results];
    for (const result of list) cli.out(resultText(result));
    return true;
  } catch (error) {
    return failed(cli, error, true);
  } finally {
    await client.end().catch(() => {});
  }
}

/** A session at the gateway; null: it was refused, and that has been told. */
export async function connected(
  cli: Cli,
  where: Where,
  name: string,
  options: string | null,
): Promise<pg.Client | null> {
  const text = where.url ?? cli.env['HOLDPOINT_URL'] ?? savedUrl(dataDir(cli, where.data));
  if (!URL.canParse(text)) {
    throw new CommandError(
      'The connection URL is malformed; it looks like postgres://user:password@host:7432/target.',
    );
  }
  const url = new URL(text);
  if (where.target !== undefined) url.pathname = `/${encodeURIComponent(where.target)}`;
  const client = new pg.Client({
    connectionString: url.href,
    connectionTimeoutMillis: CONNECT_MS,
    application_name: name,
    ...(options === null ? {} : { options }),
    // Values are shown as the server writes them.
    types: { getTypeParser: () => (value: string) => value },
  });
  // A connection that breaks while idle is told by the query that needs it.
  client.on('error', () => {});
  client.on('notice', (notice) => cli.err(`${notice.severity ?? 'NOTICE'}: ${safe(notice.message ?? '')}`));
  try {
    await client.connect();
    return client;
  } catch (error) {
    failed(cli, error, false);
    return null;
  }
}

function savedUrl(data: string): string {
  try {
    return readFileSync(join(data, 'demo-agent.url'), 'utf8').trim();
  } catch {
    throw new CommandError(
      'There is no demo agent here: `holdpoint start` without a target of your own makes one, else pass --url with a connection URL of the gateway.',
    );
  }
}

function resultText({ fields, rows, command, rowCount }: pg.QueryArrayResult<(string | null)[]>): string {
  if (fields.length > 0) {
    const right = new Set(fields.flatMap((field, i) => (NUMBERS.has(field.dataTypeID) ? [i] : [])));
    const cells = rows.map((row) => row.map((value) => value ?? 'NULL'));
    const head = fields.map((field) => field.name);
    return `${table(head, cells, right)}\n(${rows.length} ${rows.length === 1 ? 'row' : 'rows'})`;
  }
  if (!command) return 'OK';
  return rowCount === null ? command : `${command} ${command === 'INSERT' ? '0 ' : ''}${rowCount}`;
}

export function failed(cli: Cli, error: unknown, sent: boolean): false {
  if (error instanceof pg.DatabaseError) {
    cli.err(`ERROR: ${safe(error.message)}`);
    if (error.detail) cli.err(`DETAIL: ${safe(error.detail)}`);
    if (error.hint) cli.err(`HINT: ${safe(error.hint)}`);
    cli.err(`SQLSTATE: ${error.code ?? 'unknown'}`);
    return false;
  }
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (code === 'ECONNREFUSED' || code === 'ENOTFOUND') {
    throw new CommandError('Nothing answers at the gateway’s address; start it with `holdpoint start`.');
  }
  const why = safe(error instanceof Error ? error.message : 'unknown');
  throw new CommandError(
    sent
      ? `The connection to the gateway was lost (${why}); what had been sent may have run: check before you send it again.`
      : `The gateway did not take the connection (${why}); nothing was sent. Check the address and try again.`,
  );
}
