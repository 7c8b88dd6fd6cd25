/** What cannot be recorded does not run, and the record does not say that it did (I4). */
import { mkdtempSync, rmSync, unlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { RecordingFault } from '../../src/recordings/fault.ts';
import { findSegments } from '../../src/recordings/paths.ts';
import { MemoryIndex, recorder } from '../recordings/support.ts';
import { type TestPostgres, testPostgres } from '../support/postgres.ts';
import { serialize, WireClient } from '../support/wire-client.ts';
import { AGENT, bench, FakeRecorder, PERSON, SCHEMA } from './support.ts';

let server: TestPostgres;
beforeAll(async () => {
  server = await testPostgres();
  await server.createDatabase('shop');
  await server.query('shop', SCHEMA);
});
afterAll(() => server?.stop());

const { query, parse, bind, execute, sync } = serialize;
const orders = async (id: number): Promise<number | null> =>
  (await server.query('shop', `select from orders where id = ${id}`)).rowCount;

it('a session whose recording is taken away runs nothing more, and its next connection is recorded anew', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'holdpoint-gone-'));
  const index = new MemoryIndex();
  const faults: string[] = [];
  const made = recorder(dir, index, { now: Date.now, onFault: ({ code }) => void faults.push(code) });
  const gateway = await bench(server, 'shop', { recorder: made });
  try {
    const client = await WireClient.login(gateway.port, AGENT);
    const bystander = await WireClient.login(gateway.port, AGENT);
    client.send(query('insert into orders values (7000, 1, 1)'));
    expect((await client.ready()).at(0)).toMatch(/^C/);
    await made.flush();
    const id = [...index.rows.values()].find((row) => row.statements === 1)?.id ?? '';
    for (const path of findSegments(dir, id)) unlinkSync(path);
    expect(await client.end()).toEqual(['E:XX000']);
    expect(faults).toEqual(['gone']);
    client.send(query('insert into orders values (7001, 1, 1)'));
    bystander.send(query('insert into orders values (7002, 1, 1)'));
    expect((await bystander.ready()).at(0)).toMatch(/^C/);
    const again = await WireClient.login(gateway.port, AGENT);
    again.close();
    bystander.close();
  } finally {
    await gateway.stop();
    await made.close();
    rmSync(dir, { recursive: true, force: true });
  }
  expect([await orders(7000), await orders(7001), await orders(7002)]).toEqual([1, 0, 1]);
}, 30_000);

it('a session whose recording is taken away ends by itself: its transaction, its locks and its wait with it', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'holdpoint-gone-'));
  const made = recorder(dir, new MemoryIndex(), { now: Date.now });
  const gateway = await bench(server, 'shop', { recorder: made });
  const clients: pg.Client[] = [];
  const connect = async (): Promise<{ client: pg.Client; ended: Promise<unknown> }> => {
    const client = new pg.Client({ connectionString: gateway.url(PERSON) });
    clients.push(client);
    const ended = new Promise((resolve) => client.on('error', resolve));
    await client.connect();
    return { client, ended };
  };
  try {
    const [idle, held, bystander] = [await connect(), await connect(), await connect()];
    await idle.client.query('begin');
    await idle.client.query('insert into orders values (7010, 1, 1)');
    await idle.client.query('select id from orders where id = 1 for update');
    const { rows } = await idle.client.query('select pg_backend_pid() as pid');
    const waits = held.client.query('delete from orders where id = 2').catch((error: unknown) => error);
    const { id } = await gateway.desk.waiting();
    await bystander.client.query('begin');
    const others = gateway.gateway.sessions().at(-1)?.id;
    for (const session of gateway.gateway.sessions())
      if (session.id !== others) for (const path of findSegments(dir, session.id)) unlinkSync(path);
    expect(await idle.ended).toMatchObject({ severity: 'FATAL', code: 'XX000' });
    await waits;
    expect(gateway.gateway.sessions().map((session) => session.id)).toEqual([others]);
    // Nothing waits for the row, and its backend is gone.
    await server.query('shop', "set lock_timeout = '5s'; update orders set total = total where id = 1");
    await expect
      .poll(
        async () =>
          (await server.query('shop', `select from pg_stat_activity where pid = ${rows[0].pid}`)).rowCount,
      )
      .toBe(0);
    expect(await orders(7010)).toBe(0);
    gateway.desk.approve(id);
    await bystander.client.query('select 1');
    expect(await orders(2)).toBe(1);
  } finally {
    for (const client of clients) await client.end().catch(() => undefined);
    await gateway.stop();
    await made.close();
    rmSync(dir, { recursive: true, force: true });
  }
}, 30_000);

it.each(['simple', 'extended', 'prepared before'] as const)(
  'approved while nothing can be recorded, it does not run and is not on record as executing: %s',
  async (how) => {
    class Full extends FakeRecorder {
      override open(meta: Parameters<FakeRecorder['open']>[0]): ReturnType<FakeRecorder['open']> {
        const session = super.open(meta);
        return {
          ...session,
          append: (events) => {
            if (this.failing) throw new RecordingFault('disk-full');
            session.append(events);
          },
        };
      }
    }
    const made = new Full();
    const gateway = await bench(server, 'shop', { recorder: made });
    try {
      const client = await WireClient.login(gateway.port, AGENT);
      const sql = `delete from orders where id = ${how.length}`;
      if (how === 'simple') client.send(query(sql));
      else if (how === 'extended') client.send(parse({ text: sql }), bind({}), execute({}), sync());
      else {
        client.send(parse({ text: sql }), sync());
        await client.ready();
        client.send(bind({}), execute({}), sync());
      }
      const { id } = await gateway.desk.waiting();
      made.failing = true;
      gateway.desk.approve(id);
      expect((await client.ready()).slice(-2)).toEqual(['E:XX000', 'Z:I']);
      expect(gateway.desk.finishes).toMatchObject([{ id, kind: 'unused' }]);
      made.failing = false;
      client.send(query('select 1'));
      await client.ready();
      const said = made.events.flatMap((event) => (event.kind === 'approval' ? [event.state] : []));
      expect(said).toEqual(['pending', 'granted']);
      expect(made.events).toContainEqual(
        expect.objectContaining({ note: 'not run: its clearance could not be recorded' }),
      );
      expect(await orders(how.length)).toBe(1);

      // The permission is there for the retry, which is recorded before it runs.
      client.send(query(sql));
      if (how === 'simple') {
        expect((await client.ready()).at(0)).toBe('C:DELETE 1');
        expect(made.events.filter((event) => event.kind === 'approval').at(-1)).toMatchObject({
          state: 'executing',
        });
      }
      client.close();
    } finally {
      await gateway.stop();
    }
  },
);
