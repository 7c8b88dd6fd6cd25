/** Sampling for suggestions at a real server: what may be read is, what may not is told, nothing of the database's own runs. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { sampleTarget } from '../../src/gateway/judge/sample.ts';
import type { Target } from '../../src/gateway/types.ts';
import { type TestPostgres, testPostgres } from '../support/postgres.ts';

let server: TestPostgres;
let target: Target;
beforeAll(async () => {
  server = await testPostgres();
  await server.createDatabase('shop');
  await server.query(
    'shop',
    `create role reader login password 'reader';
     create domain mail as text;
     create table people (id int, contact mail, born date, extra jsonb, "odd ""name" text);
     insert into people select i, 'p' || i || '@example.com', '2000-01-01', '{"a": "b"}', 'x' from generate_series(1, 5000) i;
     create table hidden (email text); insert into hidden values ('h@example.com');
     create table guarded (email text); insert into guarded values ('g@example.com');
     alter table guarded enable row level security;
     create function boom() returns boolean language plpgsql as $$ begin raise exception 'boom'; end $$;
     create policy p on guarded using (boom());
     create view v as select boom() as email;
     analyze;
     grant select on people, guarded, v to reader;`,
  );
  target = {
    name: 'shop',
    environment: 'test',
    host: server.host,
    port: server.port,
    database: 'shop',
    tls: 'disable',
    ca: null,
    logins: { 'read-only': { user: 'reader', password: 'reader' } },
    catalogLogin: null,
    acceptPrivileges: [],
    protocol: 'strict',
  };
});
afterAll(() => server.stop());

test('a bounded sample of what may be read', async () => {
  const { tables, unread, partial } = await sampleTarget(target);
  expect(tables.map(({ name }) => name)).toEqual(['guarded', 'hidden', 'people']);
  expect(unread).toEqual(['public.guarded', 'public.hidden']);
  expect(partial).toBe(false);
  const people = tables.find(({ name }) => name === 'people')?.columns ?? [];
  const of = (name: string) => people.find((one) => one.name === name);
  const values = of('contact')?.values ?? [];
  expect(values.length).toBeGreaterThan(50);
  expect(values.length).toBeLessThanOrEqual(300);
  expect(values.every((value) => /^p\d+@example\.com$/.test(value))).toBe(true);
  expect(of('born')).toMatchObject({ category: 'D', values: null });
  expect(of('extra')?.values?.[0]).toBe('{"a": "b"}');
  expect(of('odd "name')?.values?.[0]).toBe('x');
});
