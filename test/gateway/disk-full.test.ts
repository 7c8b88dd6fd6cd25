/** A real disk without space under the recordings: statements are refused, the gateway lives, and goes on by itself (I8). */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { loadSigningKey } from '../../src/recordings/keys.ts';
import { createRecorder } from '../../src/recordings/recorder.ts';
import { MemoryIndex } from '../recordings/support.ts';
import { type TestPostgres, testPostgres } from '../support/postgres.ts';
import { serialize, WireClient } from '../support/wire-client.ts';
import { AGENT, bench, SCHEMA, silent } from './support.ts';

const dir = mkdtempSync(join(tmpdir(), 'holdpoint-full-'));
const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=512k', 'tmpfs', dir]).status === 0;
if (!mounted) console.warn('disk-full: no right to mount a tmpfs here (root needed), skipped');

let server: TestPostgres | undefined;
beforeAll(async () => {
  if (mounted) server = await testPostgres();
});
afterAll(async () => {
  await server?.stop();
  if (mounted) spawnSync('umount', ['-l', dir]);
  rmSync(dir, { recursive: true, force: true });
});

it.skipIf(!mounted)('a full disk refuses statements and sessions until there is space again', async () => {
  if (server === undefined) return;
  await server.createDatabase('shop');
  await server.query('shop', SCHEMA);
  const index = new MemoryIndex();
  const recorder = createRecorder({
    dir,
    index,
    now: Date.now,
    log: silent,
    signingKey: loadSigningKey(join(dir, 'keys')),
  });
  const gateway = await bench(server, 'shop', { recorder });
  const filler = join(dir, 'filler');
  try {
    const client = await WireClient.login(gateway.port, AGENT);
    const insert = async (id: number): Promise<readonly string[]> => {
      client.send(serialize.query(`insert into orders values (${id}, 1, 1)`));
      return client.ready();
    };
    expect((await insert(6000)).at(0)).toMatch(/^C/);

    // The last page of a segment may still have room; the statement is long enough to need another one.
    expect(() => writeFileSync(filler, Buffer.alloc(1024 * 1024))).toThrow(/ENOSPC/);
    const long = `insert into orders values (6001, 1, 1) -- ${'x'.repeat(8000)}`;
    for (let again = 0; again < 2; again++) {
      client.send(serialize.query(long));
      expect(await client.ready()).toEqual(['E:XX000', 'Z:I']);
    }
    client.send(serialize.parse({ text: long }), serialize.bind({}), serialize.execute({}), serialize.sync());
    expect(await client.ready()).toEqual(['1', '2', 'E:XX000', 'Z:I']);
    await expect(WireClient.login(gateway.port, AGENT)).rejects.toThrow(/recording cannot be written/);

    rmSync(filler);
    expect((await insert(6002)).at(0)).toMatch(/^C/);
    const again = await WireClient.login(gateway.port, AGENT);
    again.close();
    client.close();

    const ran = await server.query(
      'shop',
      'select id from orders where id between 6000 and 6009 order by id',
    );
    expect(ran.rows).toEqual([{ id: 6000 }, { id: 6002 }]);
  } finally {
    await gateway.stop();
    await recorder.close();
  }
  const ids = [...index.rows.keys()];
  expect(ids).toHaveLength(2);
  for (const id of ids) expect(await recorder.verify(id)).toMatchObject({ kind: 'intact', ended: true });
  const events = await recorder.read(ids[0] ?? '');
  expect(events.flatMap((event) => (event.kind === 'statement' ? [event.sql.slice(27, 31)] : []))).toEqual([
    '6000',
    '6002',
  ]);
  expect(events).toContainEqual(
    expect.objectContaining({ kind: 'notice', text: expect.stringContaining(' 3 ') }),
  );
});
