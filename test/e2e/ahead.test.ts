/** A migration approved ahead of time: `holdpoint request`, one card, one grant for each statement. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { holdpoint, type Product, scratch, startProduct } from '../support/product.ts';
import { type Agent, type Approver, agentAt, approverOf } from './support.ts';

let product: Product;
let dana: Approver;
const agents: Agent[] = [];
beforeAll(async () => {
  const dataDir = scratch();
  writeFileSync(
    join(dataDir, 'holdpoint.yaml'),
    'identity: { approvers: [{ name: Dana, email: dana@example.com }] }\n',
  );
  product = await startProduct({ dataDir });
  dana = await approverOf(product);
});
afterAll(async () => {
  await Promise.all(agents.map((agent) => agent.end()));
  await product?.stop();
  product?.remove();
});

async function agent(options = '-c holdpoint.wait=0'): Promise<Agent> {
  const url = new URL(product.agentUrl);
  url.searchParams.set('options', options);
  const made = await agentAt(url.href);
  agents.push(made);
  return made;
}
async function ask(
  script: string,
  ...more: string[]
): Promise<{ id: string; out: string; code: number | null }> {
  const { out, err, code } = await holdpoint(
    product,
    ['request', '--url', product.agentUrl, ...more],
    script,
  );
  return { id: /HP-[0-9A-Z]{4,5}/.exec(out)?.[0] ?? '', out: out + err, code };
}
const approve = async (id: string) => expect((await dana.decide(id, 'approve')).status).toBe(200);

const MIGRATION = `
BEGIN;
-- a note
CREATE TABLE ahead_note (id int PRIMARY KEY, body text);
CREATE INDEX ahead_note_body ON ahead_note (body);
INSERT INTO ahead_note VALUES (1, 'a'), (2, 'b');
DELETE FROM ahead_note WHERE id = 2;
COMMIT;`;

it('asks once for a script, and each statement then runs once, in order', async () => {
  const { id, out, code } = await ask(MIGRATION);
  expect(out).toMatch(
    /^HP-\w+ pending until \S+: \d of 6 statements need approval; once approved, send them unchanged/,
  );
  expect(code).toBe(0);
  // What each would do, as far as it can be told before the others have run.
  const card = await dana.until(/ahead_note/, ([one]) => (one?.impact?.parts?.lines.length ?? 0) > 0 && one);
  expect(card.impact?.parts?.lines[0]).toMatchObject({
    what: expect.stringContaining('CREATE TABLE'),
    rows: null,
  });
  expect(await dana.requestsFor(/ahead_note/)).toHaveLength(1);
  // Asked again, it is the same card.
  expect((await ask(MIGRATION)).id).toBe(id);
  await approve(id);

  const run = await agent();
  // Not before what it relies on: that is asked for on its own.
  expect(await run.run('DELETE FROM ahead_note WHERE id = 2')).toMatchObject({ code: '42P01' });
  for (const statement of MIGRATION.split(';').slice(0, -1))
    expect(await run.run(statement), statement).toMatchObject({ code: null });
  expect((await run.run('SELECT id FROM ahead_note')).rows).toEqual([{ id: 1 }]);
  expect(await dana.reaches(id, 'executed')).toMatchObject({
    note: expect.stringMatching(/^(\d) of \1 run$/),
  });
  // Spent.
  expect(await run.run('DELETE FROM ahead_note WHERE id = 2')).toMatchObject({ code: 'HP001' });
});

it('a part whose turn has not come is asked for on its own', async () => {
  const setup = await agent();
  const { id } = await ask('ALTER TABLE orders ADD ahead_flag int; DELETE FROM orders WHERE id = 4242');
  await approve(id);
  const early = await setup.run('DELETE FROM orders WHERE id = 4242');
  expect(early).toMatchObject({ code: 'HP001' });
  expect(early.message).not.toContain(id);
  expect(await setup.run('ALTER TABLE orders ADD ahead_flag int')).toMatchObject({ code: null });
});

it('what the script turned into decides: more than was on the card is asked for anew', async () => {
  const run = await agent();
  // The name of the new column is one that policy tags.
  const { id } = await ask(
    'ALTER TABLE orders ADD ssn text; SELECT ssn FROM orders WHERE id = 1; UPDATE orders SET id = id',
  );
  await approve(id);
  expect(await run.run('ALTER TABLE orders ADD ssn text')).toMatchObject({ code: null });
  expect(await run.run('SELECT ssn FROM orders WHERE id = 1')).toMatchObject({ code: 'HP001' });
});

it('a denied script runs nothing, and what policy blocks is not asked for', async () => {
  const { id } = await ask('DROP TABLE orders; DELETE FROM customers WHERE id = 5');
  await dana.decide(id, 'deny', 'no');
  const run = await agent();
  const told = await run.run('DROP TABLE orders');
  expect(told.code).toBe('HP001');
  expect(told.message).not.toContain(id);
  expect((await ask('SELECT 1; SELECT 2')).out).toContain('Nothing to ask');
});

it('nothing that such a session sends runs, whatever the protocol', async () => {
  const asking = await agent('-c holdpoint.ahead=on');
  expect(await asking.run('INSERT INTO orders (id) VALUES (999999)')).toMatchObject({
    rows: [{ state: 'not needed' }],
  });
  expect(await asking.run('SELECT $1::int', [1])).toMatchObject({ code: '42501' });
  expect(await asking.run('SET search_path = public')).toMatchObject({ rows: [{ state: 'not needed' }] });
  const other = await agent();
  expect((await other.run('SELECT id FROM orders WHERE id = 999999')).rows).toEqual([]);
  expect(await other.run('SET holdpoint.ahead = on')).toMatchObject({ code: '42501' });
});

it('waits for the decision where it is told to', async () => {
  const asked = ask('DELETE FROM orders WHERE id = 777', '--wait', '30s');
  const request = await dana.until(/id = 777/, (some) => some.find((each) => each.state === 'pending'));
  await dana.decide(request.id, 'approve');
  expect(await asked).toMatchObject({ code: 0, out: expect.stringContaining(`${request.id} granted`) });
});
