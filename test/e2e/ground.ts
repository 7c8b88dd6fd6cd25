/** One target that counts what runs, the Slack stand-in, and the started product between them; for tests that race or kill it. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { type TestPostgres, testPostgres } from '../support/postgres.ts';
import { type Product, scratch, startProduct } from '../support/product.ts';
import {
  APP_TOKEN,
  BOT_TOKEN,
  type SentMessage,
  type SlackStandIn,
  type SlackState,
  startSlack,
} from '../support/slack/index.ts'; // prettier-ignore
import { type StallingProxy, stallingProxy } from '../support/stall.ts';
import { type Approver, approverOf, textOf } from './support.ts';

/** Every row is one run of the statement that it names; one that names `slow` waits for whoever holds advisory lock 7. */
const SHOP = `
CREATE ROLE app LOGIN PASSWORD 'app-secret';
CREATE TABLE ran (what text NOT NULL);
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN IF NEW.what LIKE 'slow%' THEN PERFORM pg_advisory_xact_lock(7); END IF; RETURN NEW; END $$;
CREATE TRIGGER slow BEFORE INSERT ON ran FOR EACH ROW EXECUTE FUNCTION slow();
GRANT SELECT, INSERT ON ran TO app;`;

export interface Ground {
  readonly postgres: TestPostgres;
  readonly proxy: StallingProxy;
  readonly slack: SlackStandIn;
  /** With the configuration of this ground; `dataDir` for one that was there before. */
  start(options?: { readonly dataDir?: string; readonly env?: NodeJS.ProcessEnv }): Promise<Product>;
  /** By name. */
  approver(product: Product, name: string): Promise<Approver>;
  /** A connection URL of Alice's own. */
  mint(product: Product, approver: Approver): Promise<string>;
  /** How often this ran. */
  ran(what: string): Promise<number>;
  /** It was sent to the target, and waits there for a lock. */
  waits(what: string): Promise<boolean>;
  stop(): Promise<void>;
}

export const insert = (what: string): string => `INSERT INTO ran VALUES ('${what}')`;

/** Whoever mints does not approve: the first mints. `groups` of approvers, by name; `sql` is run in the shop besides. */
export async function ground(
  approvers: readonly string[],
  more: {
    readonly groups?: Readonly<Record<string, string>>;
    readonly policy?: string;
    readonly sql?: string;
    /** More of holdpoint.yaml. */
    readonly yaml?: string;
  } = {},
): Promise<Ground> {
  const postgres = await testPostgres();
  await postgres.createDatabase('shop');
  await postgres.query('shop', `${SHOP}\n${more.sql ?? ''}`);
  const proxy = await stallingProxy(postgres.port);
  const slack = await startSlack();
  const yaml = `
policy: policy.yaml
targets:
  shop: { url: "postgres://127.0.0.1:${proxy.port}/shop", environment: demo, logins: { admin: { user: app, password: app-secret } } }
identity:
  levels: { crew: admin }
  approvers:
${approvers.map((name) => `    - { name: ${name}, email: ${name.toLowerCase()}@example.com, groups: [${more.groups?.[name] ?? ''}] }`).join('\n')}
${more.yaml ?? ''}
`;
  return {
    postgres,
    proxy,
    slack,
    start: ({ dataDir = scratch(), env = {} } = {}) => {
      writeFileSync(join(dataDir, 'holdpoint.yaml'), yaml);
      writeFileSync(join(dataDir, 'policy.yaml'), more.policy ?? 'version: 1\ndefaults: { insert: hold }\n');
      return startProduct({
        dataDir,
        env: {
          SLACK_BOT_TOKEN: BOT_TOKEN,
          SLACK_CHANNEL: '#db',
          SLACK_APP_TOKEN: APP_TOKEN,
          SLACK_API_URL: slack.apiUrl,
          ...env,
        }, // prettier-ignore
      });
    },
    approver: (product, name) => {
      const link = new RegExp(`For ${name}:\\s+(\\S+)`).exec(product.output())?.[1];
      return approverOf(link === undefined ? product : { ...product, link });
    },
    async mint(product, approver) {
      const { body } = await approver.post('/credentials', {
        owner: { email: 'alice@example.com', name: 'Alice' },
        groups: ['crew'],
        ttlMs: 3_600_000,
      });
      const gateway = /gateway (127\.0\.0\.1:\d+)/.exec(product.output())?.[1] ?? '';
      return `postgres://${textOf(body, 'id')}:${textOf(body, 'secret')}@${gateway}/shop`;
    },
    async ran(what) {
      const { rows } = await postgres.query('shop', 'SELECT count(*)::int AS n FROM ran WHERE what = $1', [
        what,
      ]); // prettier-ignore
      return Number(rows[0]?.n);
    },
    async waits(what) {
      const sql = "SELECT FROM pg_stat_activity WHERE query = $1 AND wait_event_type = 'Lock'";
      return (await postgres.query('shop', sql, [insert(what)])).rowCount === 1;
    },
    async stop() {
      await slack.stop();
      await proxy.close();
      await postgres.stop();
    },
  };
}

/** Another session, until it ends, holds what makes `slow…` wait in the target. */
export async function blocking({ postgres }: Ground): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: postgres.url('shop') });
  client.on('error', () => undefined);
  await client.connect();
  await client.query('SELECT pg_advisory_lock(7)');
  return client;
}

// ── what a card is ─────────────────────────────────────────────────────────────────────────────────────────────────
export const body = (message: Pick<SentMessage, 'blocks'> | undefined): string =>
  JSON.stringify(message?.blocks ?? []);
export const cardsOf = (state: Pick<SlackState, 'messages'>, text: string): readonly SentMessage[] =>
  state.messages.filter((each) => each.thread_ts === undefined && body(each).includes(text));
export const buttonsOf = (message: SentMessage): readonly unknown[] =>
  message.blocks
    .filter(({ type }) => type === 'actions')
    .flatMap(({ elements = [] }) => elements.map((each) => each['action_id']));
