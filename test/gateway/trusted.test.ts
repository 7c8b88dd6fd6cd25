/** What `protocol: trusted` lifts on a target marked test (DESIGN.md 15): lifted is the refusal, never the judgement. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type TestPostgres, testPostgres } from '../support/postgres.ts';
import { serialize, WireClient } from '../support/wire-client.ts';
import { AGENT, type Bench, bench, SCHEMA } from './support.ts';

let server: TestPostgres;
let it_: Bench;
const clients: WireClient[] = [];

beforeAll(async () => {
  server = await testPostgres();
  await server.createDatabase('shop');
  await server.query('shop', SCHEMA);
  it_ = await bench(server, 'shop', {
    target: { environment: 'test', protocol: 'trusted' },
    holdTerms: { agentWaitMs: 0, personWaitMs: 5000, maxWaitMs: 60_000, lockedWaitMs: 1000 },
  });
});
afterEach(() => {
  for (const client of clients.splice(0)) client.close();
});
afterAll(async () => {
  await it_?.stop();
  await server?.stop();
});

async function connect(): Promise<WireClient> {
  const client = await WireClient.login(it_.port, AGENT);
  clients.push(client);
  return client;
}

/** FunctionCall with text arguments and a text result. */
function call(oid: number, ...args: string[]): Buffer {
  const values = args.map((arg) => {
    const value = Buffer.alloc(4 + arg.length, arg.length);
    value.writeInt32BE(arg.length);
    value.write(arg, 4);
    return value;
  });
  const head = Buffer.alloc(13);
  head.write('F');
  head.writeUInt32BE(oid, 5);
  head.writeUInt16BE(args.length, 11);
  const message = Buffer.concat([head, ...values, Buffer.alloc(2)]);
  message.writeInt32BE(message.length - 1, 1);
  return message;
}
const ABS_INT4 = 1397;
const ABS_INT8 = 1396;
const approveAll = async (): Promise<void> => {
  for (const { id, state } of await it_.desk.list()) if (state === 'pending') it_.desk.approve(id);
};

it('knows the client under its own application_name', async () => {
  const name = 'isolation/insert-conflict-do-nothing-and-more';
  const client = await WireClient.login(it_.port, AGENT, { application_name: name });
  clients.push(client);
  client.send(serialize.query('show application_name'));
  await client.ready();
  expect(client.messages.find(({ type }) => type === 'D')?.bytes.toString()).toContain(name);
});

describe('the function call of the protocol', () => {
  it('is held like a statement that cannot be read; its permission is for this function and these arguments', async () => {
    const client = await connect();
    client.send(call(ABS_INT4, '-5'));
    expect(await client.ready()).toEqual(['E:HP001', 'Z:I']);
    await approveAll();
    for (const other of [call(ABS_INT8, '-5'), call(ABS_INT4, '-6'), call(ABS_INT4)]) {
      client.send(other);
      expect(await client.ready()).toEqual(['E:HP001', 'Z:I']);
    }
    client.send(call(ABS_INT4, '-5'));
    expect(await client.ready()).toEqual(['V', 'Z:I']);
    expect(
      client.messages
        .find(({ type }) => type === 'V')
        ?.bytes.subarray(9)
        .toString(),
    ).toBe('5');
    expect(it_.desk.drafts[0]?.statement).toMatchObject({
      sql: `FUNCTION CALL ${ABS_INT4}`,
      class: 'unknown',
    });
    await it_.desk.until(() => it_.desk.finishes.length > 0);
    expect(it_.desk.finishes).toMatchObject([{ kind: 'executed', outcome: { code: null } }]);
    client.send(call(ABS_INT4, '-5'));
    expect(await client.ready()).toEqual(['E:HP001', 'Z:I']);
  });

  it('stays in step: in a pipeline, in a transaction, when malformed, and with the unnamed statement kept', async () => {
    const client = await connect();
    const { parse, bind, execute, sync, query } = serialize;
    const approved = async (message: Buffer, ...expected: string[]): Promise<void> => {
      client.send(query('rollback'));
      await client.ready();
      client.send(message);
      await client.ready();
      await approveAll();
      client.send(query('begin'));
      await client.ready();
      client.send(message);
      expect(await client.ready()).toEqual(expected);
    };
    await approved(call(ABS_INT4, '-7'), 'V', 'Z:T');
    await approved(call(ABS_INT4, 'x'), 'E:22P02', 'Z:E');
    client.send(call(ABS_INT4, '-7'));
    expect(await client.ready()).toEqual(['E:25P02', 'Z:E']);
    client.send(query('rollback'));
    await client.ready();
    client.send(Buffer.from('460000000800000575', 'hex'));
    expect(await client.ready()).toEqual(['E:08P01', 'Z:I']);
    await approveAll();
    client.send(call(ABS_INT4, '-8'));
    await client.ready();
    await approveAll();
    client.send(
      Buffer.concat([parse({ text: 'select 1' }), call(ABS_INT4, '-8'), bind({}), execute({}), sync()]),
    );
    expect(await client.ready()).toEqual(['1', 'V', 'Z:I']);
    expect(await client.ready()).toEqual(['2', 'D', 'C:SELECT 1', 'Z:I']);
  });
});
