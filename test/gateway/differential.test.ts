/** For any conversation the client sees through the gateway what the server itself would have said (I6). */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type TestPostgres, testPostgres } from '../support/postgres.ts';
import { serialize, trace, WireClient } from '../support/wire-client.ts';
import { AGENT, type Bench, bench, SCHEMA } from './support.ts';

let server: TestPostgres;
let it_: Bench;
beforeAll(async () => {
  server = await testPostgres();
  await server.createDatabase('shop');
  await server.query('shop', SCHEMA);
  it_ = await bench(server, 'shop');
});
afterAll(async () => {
  await it_?.stop();
  await server?.stop();
});

const { query, parse, bind, execute, describe: described, sync, flush, close } = serialize;
const NAMES = ['', 'a', 'b'];
const message = fc.oneof(
  fc
    .constantFrom(
      'select 1',
      'select id from orders where id < 3; select 2',
      '',
      'selec',
      'select * from nowhere',
      'select 1/0',
      'begin',
      'commit',
      'rollback',
      'savepoint s',
      'rollback to s',
      "set statement_timeout = '9s'",
      'select 1; select 1/0; select 2',
      'prepare b as select 7',
      'execute b',
      'execute a(1)',
      'deallocate a',
      'declare c cursor for select 1',
      'fetch c',
      'close c',
      'insert into orders values (-1, 1, 1)',
    )
    .map((sql) => ({ shown: `Q ${sql}`, bytes: query(sql) })),
  fc
    .tuple(
      fc.constantFrom(...NAMES),
      fc.constantFrom(
        'select 1',
        'select $1::int',
        'begin',
        'commit',
        'selec',
        'select * from nowhere',
        '',
        'select 1/0',
        'fetch c',
      ),
    )
    .map(([name, text]) => ({ shown: `P ${name} ${text}`, bytes: parse({ name, text }) })),
  fc
    .tuple(fc.constantFrom(...NAMES), fc.constantFrom(...NAMES), fc.constantFrom([], ['5'], ['x']))
    .map(([portal, statement, values]) => ({
      shown: `B ${portal} ${statement} ${values.join()}`,
      bytes: bind({ portal, statement, values: [...values] }),
    })),
  fc
    .tuple(fc.constantFrom(...NAMES), fc.constantFrom(0, 1))
    .map(([portal, rows]) => ({ shown: `E ${portal} ${rows}`, bytes: execute({ portal, rows }) })),
  fc
    .tuple(fc.constantFrom('S' as const, 'P' as const), fc.constantFrom(...NAMES))
    .map(([type, name]) => ({ shown: `D ${type} ${name}`, bytes: described({ type, name }) })),
  fc
    .tuple(fc.constantFrom('S' as const, 'P' as const), fc.constantFrom(...NAMES))
    .map(([type, name]) => ({ shown: `C ${type} ${name}`, bytes: close({ type, name }) })),
  fc.constant({ shown: 'S', bytes: sync() }),
  fc.constant({ shown: 'H', bytes: flush() }),
);

async function converse(client: WireClient, parts: readonly { readonly bytes: Buffer }[]): Promise<string[]> {
  client.send(...parts.map((part) => part.bytes), sync(), query('rollback'), query("select 'the end'"));
  const seen: string[] = [];
  for (;;) {
    const one = await client.next();
    if (one.type !== 'S' && one.type !== 'N') seen.push(trace(one));
    if (one.type === 'D' && one.bytes.includes('the end')) break;
  }
  await client.ready();
  client.close();
  return seen;
}

describe('through the gateway and without it', () => {
  it('any pipeline of allowed statements reads the same', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(message, { maxLength: 14 }), async (parts) => {
        const direct = await converse(
          await WireClient.login(server.port, { user: 'app', password: 'app-secret' }),
          parts,
        );
        await server.query('shop', 'delete from orders where id = -1');
        const through = await converse(await WireClient.login(it_.port, AGENT), parts);
        await server.query('shop', 'delete from orders where id = -1');
        expect(through, parts.map((part) => part.shown).join(' | ')).toEqual(direct);
      }),
      { numRuns: 60, ...(process.env['HP_SEED'] ? { seed: Number(process.env['HP_SEED']) } : { seed: 7 }) },
    );
  });
});
