/** For any conversation the client sees through the gateway what the server itself would have said (I6). */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type TestPostgres, testPostgres } from '../support/postgres.ts';
import { holdsAsync } from '../support/property.ts';
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
    await holdsAsync(
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
      { numRuns: 60, seed: Number(process.env['HP_SEED'] ?? 7) },
    );
  });

  it('a malformed message is an error like any other, and the session goes on', async () => {
    const raw = (type: string, ...parts: (string | readonly number[])[]): { readonly bytes: Buffer } => {
      const body = Buffer.concat(parts.map((part) => Buffer.from(part as string)));
      const head = Buffer.alloc(5);
      head.write(type);
      head.writeInt32BE(body.length + 4, 1);
      return { bytes: Buffer.concat([head, body]) };
    };
    const at = (bytes: Buffer) => ({ bytes });
    const good = [at(parse({ text: 'select 5' })), at(bind({})), at(execute({}))];
    const write = [
      at(parse({ text: 'insert into orders values (-1, 1, 1)' })),
      at(bind({})),
      at(execute({})),
    ];
    const again = [at(sync()), at(bind({})), at(execute({})), at(sync())];
    const wrong = {
      'a Query of no text': raw('Q', "select '", [0xff], "'\0"),
      'a Query behind its end': raw('Q', 'select 1\0; delete from orders\0'),
      'a Query without end': raw('Q', 'select 1'),
      'an empty Query': raw('Q'),
      'a Parse of no text': raw('P', '\0', "select '", [0xff], "'\0\0\0"),
      'a Parse of no name': raw('P', [0xff, 0], 'select 1\0\0\0'),
      'a Parse behind its end': raw('P', '\0select 1\0\0\0x'),
      'a Parse without end': raw('P', '\0select 1'),
      'a Parse without its types': raw('P', '\0select 1\0', [0xff, 0xff]),
      'a Bind of no name': raw('B', [0xff, 0, 0, 0, 0, 0, 0, 0, 0]),
      'a Bind behind its end': raw('B', '\0\0', [0, 0, 0, 0, 0, 0], 'x'),
      'a Bind cut short': raw('B', '\0\0', [0, 0]),
      'a Bind of a wrong length': raw('B', '\0\0', [0, 0, 0, 1, 0xff, 0xff, 0xff, 0xfe, 0, 0]),
      'an Execute behind its end': raw('E', '\0', [0, 0, 0, 0], 'x'),
      'an Execute cut short': raw('E', '\0'),
      'a Describe of nothing': raw('D', 'x\0'),
      'a Close of nothing': raw('C', 'x\0'),
      'an empty Close': raw('C'),
      'a Sync behind its end': raw('S', 'x'),
      'a Flush behind its end': raw('H', 'x'),
    };
    for (const [what, bad] of Object.entries(wrong))
      for (const [where, parts] of Object.entries({
        alone: [at(parse({ text: 'select 5' })), at(sync()), bad],
        'behind a query': [
          at(query('select 1')),
          at(parse({ text: 'select 5' })),
          bad,
          at(query('select 2')),
        ],
        'in a pipeline': [...good, bad, ...good, ...again],
        'in a pipeline that wrote': [...write, bad, at(sync()), at(query('select count(*) from orders'))],
        'while the server skips': [at(parse({ text: 'selec' })), bad, ...good, at(sync()), ...again],
        'in a transaction': [at(query('begin')), ...good, at(sync()), bad, at(query('select 1')), ...again],
        'in a failed transaction': [
          at(query('begin')),
          ...good,
          at(sync()),
          at(parse({ name: 'a', text: 'selec' })),
          at(sync()),
          bad,
          ...again,
        ],
      })) {
        // Of a Bind the server sees that the transaction has failed before it has read it to its end.
        if (where === 'in a failed transaction' && what.startsWith('a Bind')) continue;
        const login = { user: 'app', password: 'app-secret' };
        const direct = await converse(await WireClient.login(server.port, login), parts);
        expect(await converse(await WireClient.login(it_.port, AGENT), parts), `${what}, ${where}`).toEqual(
          direct,
        );
        expect((await server.query('shop', 'select from orders where id = -1')).rowCount).toBe(
          direct.includes('C:INSERT 0 1') && !direct.some((one) => one.startsWith('E')) ? 1 : 0,
        );
        await server.query('shop', 'delete from orders where id = -1');
      }
  }, 120_000);
});
