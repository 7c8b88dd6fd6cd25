import { beforeAll, describe, expect, it } from 'vitest';
import { treeDigest } from '../../src/policy/parse/digest.ts';
import { loadParser } from '../../src/policy/parse/grammar.ts';
import { parse } from '../../src/policy/parse/parser.ts';
import { NEWEST } from '../../src/policy/server.ts';
import { tidy } from '../../src/policy/tidy.ts';

const digest = (sql: string) => {
  const parsed = parse(sql, NEWEST);
  return parsed.kind === 'parsed' ? treeDigest(parsed.statements) : null;
};

describe('tidied SQL', () => {
  beforeAll(loadParser);

  it('puts one clause on a line', () => {
    expect(tidy("delete from orders where id=7 and note='x  y'")).toBe(
      "DELETE\nFROM orders\nWHERE id = 7\n  AND note = 'x  y'",
    );
  });

  it.each([
    'select a, b from t where x between 1 and 2 and c in (select id from u where u.a = 1)',
    'update t set a = 1, b = 2 where id = 3',
    "insert into t (a, b) values (1, 'x'), (2, 'y')",
    'select "Odd Name", "order" from "Table" limit 3',
    "select 'a\\'; delete from orders; --'",
    "select 'ünïcode', '名前' from t where a = '–'",
  ])('of %s is nothing or the same tree', (sql) => {
    const text = tidy(sql);
    if (text !== null) expect(digest(text)).toBe(digest(sql));
  });

  it.each([
    ['what does not parse', 'selec'],
    ['an empty text', ''],
    ['FROM ONLY', 'select * from only customers'],
  ])('is null for %s', (_what, sql) => {
    expect(tidy(sql)).toBeNull();
  });
});
