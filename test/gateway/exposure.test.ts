/** No tagged value leaves in an error, a notice, a setting, a notification or a recording (I3), whichever way the server comes to say it. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeFields } from '../../src/gateway/wire/backend.ts';
import { type TestPostgres, testPostgres } from '../support/postgres.ts';
import { type Message, serialize, WireClient } from '../support/wire-client.ts';
import { EVERYDAY, SAYING, SECRETS, USEFUL } from './exposure/corpus.ts';
import { AGENT, type Bench, bench } from './support.ts';

/** Everything may run: what is tested is what comes back. */
const POLICY = `version: 1
pii:
  - columns: ['public.customers.name', '*.*.email', '*.*.ssn', '*.*.salary', '*.*.dob', '*.customers.doc']
    tag: pii
defaults: { ${['ddl', 'dcl', 'admin', 'do', 'call', 'delete', 'truncate', 'unknown', 'copy', 'merge', 'insert', 'update'].map((one) => `${one}: allow`).join(', ')}, pii_value: allow, pii_predicate: allow, pii_written: allow }
`;
const SCHEMA = readFileSync(new URL('./exposure/schema.sql', import.meta.url), 'utf8');

let server: TestPostgres;
let gateway: Bench;
beforeAll(async () => {
  server = await testPostgres();
  await server.createDatabase('shop');
  await server.query('shop', SCHEMA);
  gateway = await bench(server, 'shop', {
    policyText: POLICY,
    levelFor: () => 'admin',
    target: { logins: { admin: { user: 'app', password: 'app-secret' } } },
  });
});
afterAll(async () => {
  await gateway?.stop();
  await server?.stop();
});

type Step = string | readonly string[];
const textsOf = (step: Step): readonly string[] => (typeof step === 'string' ? [step] : step);
const APP = { user: 'app', password: 'app-secret' };
const extended = (text: string): Buffer =>
  Buffer.concat([
    serialize.parse({ text }),
    serialize.bind({}),
    serialize.describe({ type: 'P', name: '' }),
    serialize.execute({}),
    serialize.sync(),
  ]);

/** Everything that comes back, but for the rows if `spoken`. */
async function answers(
  port: number,
  login: typeof APP,
  step: Step,
  message: (text: string) => Buffer,
): Promise<readonly Message[]> {
  const client = await WireClient.login(port, login);
  client.forget();
  try {
    for (const text of textsOf(step)) {
      client.send(message(text));
      await client.ready();
    }
  } finally {
    client.close();
  }
  return client.messages;
}
const said = (messages: readonly Message[]): string =>
  Buffer.concat(messages.map(({ bytes }) => bytes)).toString('utf8');
const errorOf = (messages: readonly Message[]): ReadonlyMap<string, string> => {
  const error = messages.find(({ type }) => type === 'E');
  return error === undefined ? new Map() : decodeFields(error.bytes);
};

describe('what quotes tagged values on the server', () => {
  it('is tried in at least 60 ways', () => expect(SAYING.length).toBeGreaterThanOrEqual(60));

  it.each(SAYING.map((step) => [textsOf(step).join('; '), step] as const))('%s', async (_, step) => {
    const raw = await answers(server.port, APP, step, serialize.query);
    const spoken = raw.filter(({ type }) => 'ENSA'.includes(type));
    expect(said(spoken), 'the server says a tagged value').toMatch(SECRETS);
    const many = textsOf(step).some((text) => /; ?\w/.test(text) && !text.startsWith('do'));
    const before = gateway.recorder.events.length;
    const simple = await answers(gateway.port, AGENT, step, serialize.query);
    expect(said(simple)).not.toMatch(SECRETS);
    // What fails there fails here.
    expect(errorOf(simple).size > 0).toBe(errorOf(raw).size > 0);
    if (!many) expect(said(await answers(gateway.port, AGENT, step, extended))).not.toMatch(SECRETS);
    expect(JSON.stringify(gateway.recorder.events.slice(before))).not.toMatch(SECRETS);
  });
});

it.each(EVERYDAY)('says of untagged tables what the server says: %s', async (text) => {
  const lines = async (port: number, login: typeof APP): Promise<readonly string[]> => {
    const messages = await answers(port, login, text, serialize.query);
    return messages.filter(({ type }) => type !== 'S').map(({ bytes }) => bytes.toString('latin1'));
  };
  expect(await lines(gateway.port, AGENT)).toEqual(await lines(server.port, APP));
});

it.each(USEFUL)('helps with a tagged table: %s', async (text, code, message) => {
  for (const protocol of [serialize.query, extended]) {
    const error = errorOf(await answers(gateway.port, AGENT, text, protocol));
    expect(error.get('C')).toBe(code);
    expect(error.get('M')).toBe(message);
  }
});

it('travels with a cursor that an approver let through, into later transactions', async () => {
  const held = await bench(server, 'shop', {
    policyText: `${POLICY}rules: [{ name: names, match: { tags: [pii], use: [value] }, effect: hold }]\n`,
    levelFor: () => 'admin',
    target: { logins: { admin: APP } },
  });
  held.desk.auto = 'approve';
  try {
    const backwards = async (query: string): Promise<string | undefined> => {
      const steps = ['begin', `declare c no scroll cursor with hold for ${query}`, 'commit', 'fetch prior c'];
      return errorOf(await answers(held.port, AGENT, steps, serialize.query)).get('M');
    };
    expect(await backwards('select label from plain')).toBe('cursor can only scan forward');
    expect(await backwards('select name from customers')).toMatch(/^error 55000 .* withheld/);
    expect(held.desk.drafts.length).toBeGreaterThan(0);
  } finally {
    await held.stop();
  }
});

it('ends with the transaction, and not with a savepoint', async () => {
  const second = async (...steps: string[]): Promise<string | undefined> => {
    const messages = await answers(gateway.port, AGENT, steps, serialize.query);
    return errorOf(messages).get('M');
  };
  const bad = "select 'abc'::int";
  const whole = 'invalid input syntax for type integer: "abc"';
  expect(await second('begin', bad)).toBe(whole);
  expect(await second('select id from customers', bad)).toBe(whole);
  expect(await second('begin', 'select id from customers', 'commit', bad)).toBe(whole);
  const less = 'invalid input syntax for type integer';
  expect(await second('begin', 'select id from customers', bad)).toBe(less);
  expect(await second('begin', 'savepoint a', 'select id from customers', 'rollback to a', bad)).toBe(less);
  expect(await second('select id from customers; commit; select 1; ', bad)).toBe(whole);
});

it('of a pipeline only what comes after the statement that exposes is withheld', async () => {
  const client = await WireClient.login(gateway.port, AGENT);
  client.forget();
  const bad = "select 'abc'::int";
  client.send(extended(bad), extended('select id from customers'), extended(bad));
  await client.ready(3);
  const texts = client.messages
    .filter(({ type }) => type === 'E')
    .map(({ bytes }) => decodeFields(bytes).get('M'));
  client.close();
  expect(texts).toEqual(Array(2).fill('invalid input syntax for type integer: "abc"'));
});

it('shows the settings that the client sets itself, also while it is exposed', async () => {
  for (const protocol of [serialize.query, extended]) {
    const steps = ['begin', 'select id from customers', "set application_name = 'mine'", 'commit'];
    const messages = await answers(gateway.port, AGENT, steps, protocol);
    const told = messages.filter(({ type }) => type === 'S').map(({ bytes }) => bytes.toString('utf8'));
    expect(told.join()).toContain('mine');
  }
});

describe('in the extended protocol', () => {
  async function conversation(...messages: readonly Buffer[]): Promise<readonly Message[]> {
    const client = await WireClient.login(gateway.port, AGENT);
    client.forget();
    for (const message of messages) {
      client.send(message);
      await client.ready();
    }
    client.close();
    return client.messages;
  }
  const run = (...parts: readonly Buffer[]): Buffer => Buffer.concat([...parts, serialize.sync()]);

  it('a statement prepared in one transaction exposes in another, with its bind values', async () => {
    const text = 'select 1 from customers where name::int = $1';
    const messages = await conversation(
      run(serialize.parse({ name: 's', text, types: [23] })),
      run(serialize.bind({ statement: 's', values: ['1234567'] }), serialize.execute({})),
    );
    expect(errorOf(messages).get('M')).toBe('invalid input syntax for type integer');
    expect(said(messages)).not.toMatch(SECRETS);
    expect(said(messages)).not.toContain('1234567');
  });

  it('a portal exposes at every Execute', async () => {
    const text = 'select case when id = 2 then name::int end from customers';
    const messages = await conversation(
      serialize.query('begin'),
      run(
        serialize.parse({ text }),
        serialize.bind({ portal: 'p' }),
        serialize.execute({ portal: 'p', rows: 1 }),
      ),
      run(serialize.execute({ portal: 'p', rows: 1 })),
    );
    expect(messages.map(({ type }) => type)).toContain('s');
    expect(errorOf(messages).get('C')).toBe('22P02');
    expect(said(messages)).not.toMatch(SECRETS);
  });

  it('a Parse alone exposes, where a check runs during analysis', async () => {
    const messages = await conversation(run(serialize.parse({ text: "select '{other}'::checked[]" })));
    expect(errorOf(messages).get('C')).toBe('22P02');
    expect(errorOf(messages).has('P')).toBe(false);
    expect(said(messages)).not.toMatch(SECRETS);
  });
});

it('tells where in the data of a COPY the error is, and not what is there', async () => {
  const client = await WireClient.login(gateway.port, AGENT);
  client.forget();
  client.send(serialize.query('copy customers (id, name) from stdin'));
  await client.until('G');
  client.send(serialize.copyData(Buffer.from('7\tx\nQqseven\ty\n')), serialize.copyDone());
  await client.until('Z');
  client.close();
  const error = errorOf(client.messages);
  expect(error.get('M')).toBe('invalid input syntax for type integer');
  expect(error.get('W')).toBe('COPY customers, line 2, column id');
});
