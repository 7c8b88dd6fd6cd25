/** What a predicate relates to a tagged column tells it: rows that the session knows, columns of others that are equal, how many rows there are. */
import { beforeAll, describe, expect, it } from 'vitest';
import { type AnalyseInput, analyse, loadParser } from '../../src/policy/analyse.ts';
import { Related } from '../../src/policy/lineage/related.ts';
import { type Facts, taggedRows } from '../../src/policy/types.ts';
import { catalog, input, relations, tagsOf } from './fixture.ts';

beforeAll(() => loadParser());

function facts(sql: string, over: Partial<AnalyseInput> = {}): Facts {
  const analysis = analyse(sql, { ...input, ...over });
  if (analysis.kind !== 'facts') throw new Error(JSON.stringify(analysis));
  return analysis;
}
function uses(sql: string, over: Partial<AnalyseInput> = {}): string {
  const all = facts(sql, over).statements.flatMap(({ columns }) =>
    columns.map(({ use, relation, column }) => `${use.slice(0, 1)}:${relation}.${column}`),
  );
  return [...new Set(all)].sort().join(' ').replaceAll('customers.', '');
}
const written = (...names: string[]): Partial<AnalyseInput> => ({
  resolution: { ...input.resolution, written: [...names, ...names.map(taggedRows)] },
});

describe('an equality', () => {
  const joined = 'SELECT p.id FROM plain p JOIN customers c ON c.email = p.label';
  it('names the tables whose columns it handed a tag', () => {
    expect(facts(joined).handed).toEqual(['public.plain']);
    expect(
      facts('SELECT o.id FROM orders o JOIN customers c ON c.id = o.customer_id').handed,
    ).toBeUndefined();
    expect(
      facts('SELECT count_customers() FROM plain p JOIN orders o ON o.note = p.label').handed,
    ).toBeUndefined();
  });
  it('tells the rows of a table that the owner has written, and of no other', () => {
    expect(uses(joined)).toBe('p:email');
    expect(uses(joined, written('public.plain'))).toBe('p:email v:email');
    expect(uses(joined, written('public.orders'))).toBe('p:email');
  });
  it('counts what an earlier statement of the string has written', () => {
    expect(uses(`INSERT INTO plain VALUES (1, 'x'); ${joined}`)).toBe('p:email v:email');
    expect(uses(`UPDATE plain SET label = 'x'; ${joined}`)).toBe('p:email v:email');
    expect(uses(`DELETE FROM plain; ${joined}`)).toBe('p:email');
  });
  it.each([
    ["email > 'a'", true],
    ["email LIKE 'a%'", true],
    ["email BETWEEN 'a' AND 'b'", true],
    ["email ILIKE 'a%'", false],
    ["email NOT BETWEEN 'a' AND 'b'", false],
    ['email = ANY ($1)', true],
    ['email IN (SELECT label FROM archive a, plain)', true],
    [`email IN (${Array.from({ length: 17 }, (_, i) => `'${i}'`).join()})`, true],
    [`email IN (${Array.from({ length: 16 }, (_, i) => `'${i}'`).join()})`, false],
    ["email = 'a'", false],
    ['email = $1', false],
    ["email <> 'a'", false],
  ])(
    'puts rows of a table that the owner has written in order where an index is walked: %s',
    (where, told) => {
      const sql = `SELECT id FROM customers WHERE ${where}`;
      expect(uses(sql)).toBe('p:email');
      expect(uses(sql, written('public.customers'))).toBe(told ? 'p:email v:email' : 'p:email');
    },
  );
  it('tells them in views and row policies as well', () => {
    const plain = relations.find(({ name }) => name === 'plain');
    if (plain === undefined) throw new Error('plain');
    const view = 'SELECT p.id FROM public.plain p JOIN public.customers c ON c.email = p.label';
    const policy = 'EXISTS (SELECT 1 FROM public.customers c WHERE c.email = plain.label)';
    const over = (changed: Partial<typeof plain>): Partial<AnalyseInput> => ({
      catalog: {
        ...catalog,
        relations: [{ ...plain, ...changed }, ...relations.filter((one) => one !== plain)],
      },
    });
    const asView = over({ oid: 99_000, name: 'met', relkind: 'v', definition: view });
    const withView = {
      catalog: { ...catalog, relations: [...relations, ...(asView.catalog?.relations.slice(0, 1) ?? [])] },
    };
    const policies = [{ on: ['read'], text: policy, calls: [] }] as const;
    const protectedBy = over({
      rowSecurity: true,
      policies: policies.map((one) => ({ ...one, on: [...one.on] })),
    });
    for (const [sql, catalogued] of [
      ['SELECT id FROM met', withView],
      ['SELECT id FROM plain', protectedBy],
      ['COPY plain (id) TO STDOUT', protectedBy],
    ] as const) {
      expect(facts(sql, catalogued).handed).toEqual(['public.plain']);
      expect(uses(sql, catalogued)).toBe('p:email');
      expect(uses(sql, { ...catalogued, ...written('public.plain') })).toBe('p:email v:email');
      expect(uses(sql, catalogued)).toBe('p:email');
    }
  });
  it('within one table hands the tag to the other column', () => {
    expect(uses('SELECT name FROM customers WHERE name = email')).toBe('p:email v:email');
    expect(uses('SELECT id FROM customers WHERE name = email')).toBe('p:email');
  });
});

describe('rows put in order or into groups by a tagged column', () => {
  it.each([
    'SELECT id FROM customers ORDER BY email, id',
    'SELECT id FROM customers ORDER BY upper(email)',
    'SELECT id, upper(mail) IS NULL FROM customer_emails ORDER BY mail',
    'SELECT array_agg(id) FROM customers GROUP BY email HAVING count(*) > 1',
    'SELECT array_agg(id ORDER BY email) FROM customers',
    'SELECT id, row_number() OVER (ORDER BY email) FROM customers',
    'SELECT id, count(*) OVER w FROM customers WINDOW w AS (PARTITION BY email)',
    'SELECT DISTINCT ON (email) id FROM customers',
    'SELECT count(*) FROM (SELECT DISTINCT email FROM customers) d',
    'SELECT count(*) FROM (SELECT email FROM customers UNION SELECT email FROM customers) d',
    'SELECT id FROM (SELECT id, email FROM customers ORDER BY 2) s',
  ])('are told by the rows that the owner has put among them: %s', (sql) => {
    expect(facts(sql).handed).toEqual([taggedRows('public.customers')]);
    expect(uses(sql)).toBe('p:email');
    expect(uses(sql, written('public.customers'))).toBe('p:email v:email');
    expect(uses(sql, written('public.orders'))).toBe('p:email');
  });
});

describe('rows of the owner in a tagged column', () => {
  it.each([
    'SELECT a.id FROM customers a JOIN customers b ON a.email = b.email',
    'SELECT id FROM customers WHERE email = (SELECT max(email) FROM customers)',
    'SELECT count(*) FROM customers WHERE email IN (SELECT email FROM customers WHERE id = 1)',
    'SELECT c.id FROM customers c JOIN events e ON e.actor_email = c.email',
    'SELECT a.id FROM customer_emails a JOIN customers b USING (id) WHERE a.mail < b.email',
  ])('tell what they are compared with: %s', (sql) => {
    expect(facts(sql).handed).toContain(taggedRows('public.customers'));
    expect(uses(sql)).not.toContain('v:');
    expect(uses(sql, written('public.customers'))).toContain('v:email');
    expect(uses(sql, written('public.orders'))).not.toContain('v:');
  });
  it('tell every column of the index that they met', () => {
    const rows = "INSERT INTO customers (email, ssn) VALUES ('a', 'b'), ('c', 'd') ON CONFLICT";
    expect(uses(`${rows} (email, ssn) DO NOTHING RETURNING id`)).toContain('v:email v:ssn');
  });
  it('tell nothing of two columns of one row', () => {
    const sql = 'SELECT id FROM customers WHERE email = ssn';
    expect(facts(sql).handed).toBeUndefined();
    expect(uses(sql, written('public.customers'))).toBe('p:email p:ssn');
  });
});

describe('any other comparison', () => {
  it('tells by the number of rows, unless both are of one row', () => {
    expect(uses('SELECT count(*) FROM plain p, customers c WHERE p.label < c.email')).toBe('p:email v:email');
    expect(uses('SELECT count(*) FROM customers WHERE name < email')).toBe('p:email');
    expect(uses('SELECT count(*) FROM customers a, customers b WHERE a.name < b.email')).toBe(
      'p:email v:email',
    );
    expect(uses("SELECT id FROM customers WHERE name || email LIKE '%x%'")).toBe('p:email');
    expect(uses("SELECT p.id FROM customers c, plain p WHERE c.email || p.label LIKE '%x%'")).toBe(
      'p:email v:email',
    );
  });
  it('also of the number of rows in a group', () => {
    expect(
      uses(
        'SELECT n FROM generate_series(1, 9) n, generate_series(1, 9) m WHERE m <= n GROUP BY n HAVING sum(1) = (SELECT ssn::int FROM customers)',
      ),
    ).toBe('p:ssn v:ssn');
    expect(uses('SELECT email FROM customers GROUP BY email HAVING count(*) > 1').includes('v:email')).toBe(
      true,
    );
    expect(uses('SELECT count(*) FROM customers GROUP BY email HAVING count(*) > 1')).toBe('p:email');
  });
  it('also where only the number of rows of a table is compared', () => {
    expect(
      uses('SELECT count(*) FROM orders HAVING count(*) < (SELECT max(email) FROM customers)::int'),
    ).toBe('p:email v:email');
  });
  it('of nothing tagged tells nothing', () => {
    expect(uses('SELECT count(*) FROM plain p, orders o WHERE p.label < o.note')).toBe('');
  });
});

describe('rows that the session knows', () => {
  it.each([
    ['SELECT v.x FROM (VALUES (1), (2)) v(x), customers c WHERE v.x = c.ssn::int', 'p:ssn v:ssn'],
    ['SELECT c.id FROM (VALUES (1)) v(x), customers c WHERE v.x = c.ssn::int', 'p:ssn'],
    ['SELECT g FROM generate_series(1, 9) g WHERE g = (SELECT ssn::int FROM customers)', 'p:ssn v:ssn'],
    [
      'SELECT count(*) FROM generate_series(1, 9) g WHERE g < (SELECT ssn::int FROM customers)',
      'p:ssn v:ssn',
    ],
    ['SELECT c.id FROM generate_series(1, 9) g, customers c WHERE c.ssn = $1', 'p:ssn'],
    [
      "SELECT count(*) FROM (SELECT 'a' AS x UNION ALL SELECT 'b') k JOIN customers c ON c.email > k.x",
      'p:email v:email',
    ],
    [
      "SELECT x FROM (SELECT 'a' AS x UNION SELECT 'b') k WHERE x IN (SELECT email FROM customers)",
      'p:email v:email',
    ],
    ['SELECT id FROM customers WHERE email IN (SELECT unnest($1::text[]))', 'p:email'],
    ['SELECT relname FROM pg_class WHERE relname = (SELECT email FROM customers LIMIT 1)', 'p:email v:email'],
    [
      'SELECT count(*) FROM orders WHERE random()::text < (SELECT email FROM customers LIMIT 1)',
      'p:email v:email',
    ],
    [
      'SELECT count(*) FROM orders o WHERE o.ctid::text < (SELECT email FROM customers LIMIT 1)',
      'p:email v:email',
    ],
    [
      'SELECT count(*) FROM orders WHERE ctid::text < (SELECT email FROM customers LIMIT 1)',
      'p:email v:email',
    ],
    ['SELECT (ARRAY[1, 2, 3])[c.ssn::int] FROM customers c', 'v:ssn'],
    ['SELECT id FROM customers WHERE (ARRAY[1, 2, 3])[ssn::int] = 1', 'p:ssn'],
  ])('%s → %s', (sql, expected) => expect(uses(sql)).toBe(expected));

  it('are those of temporary relations too', () => {
    const temporary = { resolution: { searchPath: ['public'], tempRelations: ['mine'] } };
    expect(uses('SELECT x FROM mine JOIN customers c ON c.email = x', temporary)).toBe('p:email v:email');
  });
});

describe('what decides the number of rows', () => {
  it.each([
    ['SELECT 1 FROM orders LIMIT (SELECT ssn::int FROM customers)', 'v:ssn'],
    ['SELECT 1 FROM orders OFFSET (SELECT ssn::int FROM customers)', 'v:ssn'],
    ['SELECT count(*) FROM generate_series(1, (SELECT ssn::int FROM customers))', 'v:ssn'],
    ['SELECT count(*) OVER (ROWS (SELECT ssn::int FROM customers) PRECEDING) FROM orders', 'v:ssn'],
    [
      'SELECT count(*) OVER w FROM orders WINDOW w AS (ROWS BETWEEN CURRENT ROW AND (SELECT ssn::int FROM customers) FOLLOWING)',
      'v:ssn',
    ],
  ])('%s → %s', (sql, expected) => expect(uses(sql)).toBe(expected));
});

it('a recursion tells what decides how long it goes on, and what decides how many there are at each step', () => {
  expect(
    uses(
      'WITH RECURSIVE r(i) AS (SELECT ssn::int FROM customers UNION ALL SELECT i - 1 FROM r, generate_series(1, 9) g WHERE i > 1 AND g < (SELECT max(email)::int FROM customers)) SELECT count(*) FROM r',
    ),
  ).toBe('p:email p:ssn v:email v:ssn');
});

describe('a ladder of constants', () => {
  const ladder = (steps: number): string =>
    `SELECT CASE ${Array.from({ length: steps }, (_, i) => `WHEN ssn < '${i}' THEN ${i}`).join(' ')} END FROM customers`;
  it('of sixteen steps only compares, one of seventeen spells it out', () => {
    expect(uses(ladder(16))).toBe('p:ssn');
    expect(uses(ladder(17))).toBe('p:ssn v:ssn');
  });
  it('counts its steps whichever side the constant is on', () => {
    const steps = Array.from({ length: 17 }, (_, i) => `('${i}' > ssn)::int`).join(' + ');
    expect(uses(`SELECT ${steps} FROM customers`)).toBe('p:ssn v:ssn');
  });
  it('counts whatever asks for a bit of it', () => {
    const many = (ask: (i: number) => string, times: number): string =>
      uses(
        `SELECT ${Array.from({ length: times }, (_, i) => `count(*) FILTER (WHERE ${ask(i)})`).join(', ')} FROM customers`,
      );
    const asks: readonly ((i: number) => string)[] = [
      (i) => `(ssn::int & ${2 ** i})::bool`,
      (i) => `greatest(ssn, '${i}') = ssn`,
      (i) => `nullif(ssn, '${i}') IS NULL`,
      (i) => `textlt(ssn, '${i}')`,
    ];
    for (const ask of asks) {
      expect(many(ask, 1)).toBe('p:ssn');
      expect(many(ask, 17)).toBe('p:ssn v:ssn');
    }
  });
  it('counts the steps of CASE x WHEN as well, and those in a function', () => {
    const cases = Array.from({ length: 17 }, (_, i) => `WHEN '${i}' THEN ${i}`).join(' ');
    expect(uses(`SELECT CASE ssn ${cases} END FROM customers`)).toBe('p:ssn v:ssn');
  });
});

it('a column that the policy declares untagged is handed no tag', () => {
  const without = Object.assign((...args: Parameters<typeof tagsOf>) => tagsOf(...args), {
    untagged: (_schema: string, relation: string, column: string) =>
      relation === 'plain' && column === 'label',
  });
  const sql = 'SELECT p.label FROM plain p JOIN customers c ON c.email = p.label';
  expect(uses(sql)).toBe('p:email v:email');
  expect(uses(sql, { tagsOf: without })).toBe('p:email');
});

it('follows groups however they were joined', () => {
  const tagged = { kind: 'tagged', schema: 's', relation: 'r', column: 'c', tag: 't' } as const;
  const made = Array.from({ length: 6 }, () => ({ kind: 'made' }) as const);
  const [a, b, c, d, e, f] = made.map((one) => ({ ...one }));
  const related = new Related();
  if (!a || !b || !c || !d || !e || !f) throw new Error('six');
  related.join([a, b]);
  related.join([c, d]);
  related.join([b, d]);
  related.join([e, f]);
  related.join([c, tagged]);
  expect([...related.tagsTold([a])]).toEqual([tagged]);
  expect([...related.tagsTold([e])]).toEqual([]);
  const other = new Related();
  other.join([a, e]);
  expect([...other.tagsTold([f])]).toEqual([]);
  other.absorb(related);
  expect([...other.tagsTold([f])]).toEqual([tagged]);
  expect(other.has([f])).toBe(true);
  expect(other.has([{ kind: 'made' }])).toBe(false);
  expect(catalog.relations.length).toBeGreaterThan(0);
});

describe('the row that a trigger fires on', () => {
  const [customers] = relations.filter(({ name }) => name === 'customers');
  const [fn] = catalog.functions;
  if (customers === undefined || fn === undefined) throw new Error('customers');
  const firing = (...bodies: readonly string[]): Partial<AnalyseInput> => ({
    catalog: {
      ...catalog,
      functions: [
        ...catalog.functions,
        ...bodies.map((body, i) => ({
          ...fn,
          oid: 99_000 + i,
          schema: 'public',
          name: `fires_${i}`,
          kind: 'f' as const,
          language: 'plpgsql',
          config: [],
          calls: [],
          body: `BEGIN ${body}; RETURN NULL; END`,
        })),
      ],
      relations: relations.map((one) => {
        const i = ['customers', 'plain'].indexOf(one.name);
        if (i < 0 || i >= bodies.length) return one;
        const on = ['insert', 'update', 'delete'] as const;
        return { ...one, triggers: [{ function: `public.fires_${i}`, on: [...on], before: false }] };
      }),
    },
  });
  const keeps = (value: string): Partial<AnalyseInput> =>
    firing(`INSERT INTO public.plain (id, label) VALUES (1, ${value})`);

  it.each([
    'OLD.email',
    'old.email || 1',
    'NEW.email',
    'OLD::text',
    'row_to_json(OLD)',
    '(OLD).email',
    '"old".email',
  ])('is put elsewhere: %s', (value) => {
    expect(uses('DELETE FROM customers WHERE id = 1', keeps(value))).toContain('v:email');
    expect(uses("UPDATE customers SET name = 'x' WHERE id = 1", keeps(value))).toContain('v:email');
    expect(uses("INSERT INTO customers (id, email) VALUES (1, 'x')", keeps(value))).toBe('w:email');
  });
  it.each([
    'UPDATE public.customers SET email = OLD.email WHERE id = 7',
    "UPDATE public.customers SET email = email || 'x' WHERE id = 7",
  ])('is not, where it goes where a tag is: %s', (body) => {
    expect(uses('DELETE FROM customers WHERE id = 1', firing(body))).not.toContain('v:');
  });
  it('lists a column once, though a trigger sees it in another row', () => {
    for (const value of ['OLD.email', '(SELECT max(email) FROM public.customers WHERE email = OLD.email)']) {
      const [deleted] = facts('DELETE FROM customers WHERE email = $1', keeps(value)).statements;
      const listed = deleted?.columns.map((one) => JSON.stringify(one)) ?? [];
      expect(listed.length).toBeGreaterThan(1);
      expect(new Set(listed).size).toBe(listed.length);
    }
  });
  it.each(['OLD.name', 'OLD.id::text', "'gone'", 'CASE WHEN OLD.email IS NULL THEN 1 END'])(
    'is not, where nothing tagged is kept: %s',
    (value) => {
      expect(uses('DELETE FROM customers WHERE id = 1', keeps(value))).not.toContain('v:email');
    },
  );
});

it('counts the rows of each relation that a name may mean', () => {
  const plain = relations.find(({ name }) => name === 'plain');
  if (plain === undefined) throw new Error('plain');
  const two = {
    catalog: { ...catalog, relations: [...relations, { ...plain, oid: 99_000, schema: 'other' }] },
    resolution: { searchPath: null, tempRelations: [] },
  };
  const sql = 'SELECT count(*) FROM plain p JOIN public.customers c ON c.email < p.label';
  expect(uses(sql, two)).toBe('p:email v:email');
});

it.each([
  ["INSERT INTO customers (id, email) VALUES (1, 'x')", true],
  ['UPDATE customers SET email = lower(email) WHERE id = 1', true],
  ["UPDATE customers SET name = 'x' WHERE id = 1", false],
  ['INSERT INTO customers (id) VALUES (1)', false],
])('rows of one’s own tell a tagged column where one was written to: %s', (sql, told) => {
  expect(uses(`${sql}; SELECT id FROM customers ORDER BY email`).includes('v:email')).toBe(told);
});

it('a set operation tells which of them are alike, where the owner has written some', () => {
  const sql = "SELECT count(*) FROM (SELECT email FROM customers UNION SELECT 'x') s";
  expect(uses(sql)).toBe('p:email');
  expect(uses(sql, written('public.customers'))).toBe('p:email v:email');
  expect(uses(sql.replace('UNION', 'UNION ALL'), written('public.customers'))).toBe('');
});

it('hides what is compared with the rows of an operator that returns a set', () => {
  const over = {
    catalog: { ...catalog, customOperators: [{ schema: 'public', name: '<~>', calls: ['public.plus_one'] }] },
  };
  const hidden = (column: string): boolean => {
    const sql = `SELECT 1 FROM (SELECT ${column} <~> 2 AS x FROM customers) s WHERE s.x = 'secret'`;
    return facts(sql, over).redactions.some(({ start }) => sql.startsWith("'secret'", start));
  };
  expect(hidden('email')).toBe(true);
  expect(hidden('id')).toBe(false);
});

it('what is written into a partition or an inheritance child is among the rows of every parent', () => {
  const plain = relations.find(({ name }) => name === 'plain');
  if (plain === undefined) throw new Error('plain');
  const below = (name: string, oid: number, parent: number) => ({ ...plain, name, oid, parents: [parent] });
  const over = {
    catalog: {
      ...catalog,
      relations: [...relations, below('child', 99_000, plain.oid), below('grandchild', 99_001, 99_000)],
    },
  };
  const joined = 'SELECT p.id FROM plain p JOIN customers c ON c.email = p.label';
  const insert = (name: string) => `INSERT INTO ${name} (id, label) VALUES (1, 'x')`;
  expect(facts(insert('grandchild'), over).statements[0]?.above).toEqual(['public.child', 'public.plain']);
  expect(facts(insert('plain'), over).statements[0]?.above).toBeUndefined();
  // A parent that is gone, or that the catalog does not show yet.
  const lost = { ...below('lost', 99_002, plain.oid), parents: [99_009, plain.oid] };
  const moved = { catalog: { ...over.catalog, relations: [...over.catalog.relations, lost] } };
  expect(facts(insert('lost'), moved).statements[0]?.above).toEqual(['public.plain']);
  expect(facts('SELECT id FROM grandchild', over).statements[0]?.above).toBeUndefined();
  expect(uses(`${insert('grandchild')}; ${joined}`, over)).toBe('p:email v:email');
  expect(uses(`${insert('orders')}; ${joined}`, over)).toBe('p:email');
});

it('attributes of a composite column are of the table that keeps it', () => {
  const plain = relations.find(({ name }) => name === 'plain');
  if (plain === undefined) throw new Error('plain');
  const column = (name: string, rowType?: number) => ({
    name,
    type: 'text',
    comment: null,
    generated: null,
    ...(rowType === undefined ? {} : { rowType }),
  });
  const type = { ...plain, name: 'boxed', relkind: 'c', oid: 99_000, columns: [column('v')] };
  const box = { ...plain, name: 'box', oid: 99_001, columns: [column('id'), column('p', 99_000)] };
  const over = { catalog: { ...catalog, relations: [...relations, type, box] } };
  const joined = 'SELECT b.id FROM box b JOIN customers c ON (b.p).v = c.email';
  expect(facts(joined, over).handed).toEqual(['public.box']);
  expect(uses(joined, over)).toBe('p:email');
  expect(uses(joined, { ...over, ...written('public.box') })).toBe('p:email v:email');
});
