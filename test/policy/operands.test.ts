/** Which operator an expression means: the server is asked, and what the judge has ruled out is never what it takes. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { exact, TYPES } from '../../src/policy/operands/types.ts';
import { type Ground, ground, majors } from './corpus/real.ts';

const COLUMNS = [
  'text',
  'varchar(5)',
  'bpchar',
  'name',
  'int4',
  'int8',
  'numeric',
  'bool',
  'date',
  'timestamptz',
  'jsonb',
  'plain',
  'narrow',
  'mood',
  'text[]',
  '"char"',
  'oid',
];
/** Both sides of the operators of users; each calls a function of its own, which nobody can see through. */
const TAKEN = [
  ['text', 'int4'],
  ['int4', 'text'],
  ['text', 'varchar'],
  ['varchar', 'varchar'],
  ['varchar', 'int4'],
  ['numeric', 'text'],
  ['plain', 'plain'],
  ['narrow', 'int4'],
  ['mood', 'mood'],
  ['date', 'text'],
  ['anyarray', 'anyelement'],
  ['oid', 'int4'],
  ['name', 'text'],
] as const;
const NAMES = ['=', '<', '~~'];
const SCHEMA = `CREATE DOMAIN plain AS text; CREATE DOMAIN narrow AS varchar(3); CREATE TYPE mood AS ENUM ('a', 'b');
CREATE TABLE t (${COLUMNS.map((type, i) => `c${i} ${type}`).join(', ')});
${TAKEN.flatMap(([left, right], i) => [
  `CREATE FUNCTION f${i}(${left}, ${right}) RETURNS bool LANGUAGE plpgsql AS 'BEGIN RETURN true; END';`,
  ...NAMES.map(
    (name) => `CREATE OPERATOR ${name} (LEFTARG = ${left}, RIGHTARG = ${right}, FUNCTION = f${i});`,
  ),
]).join('\n')}`;
const SIDES = [
  ...COLUMNS.map((_, i) => `c${i}`),
  ...[
    "'1'",
    '1',
    'NULL',
    '2.5',
    "'1'::varchar",
    'lower(c0)',
    "c10 ->> 'k'",
    'coalesce(c1, c0)',
    '(SELECT c1)',
  ],
];

describe.each(majors)('operators of PostgreSQL $major', ({ major, here }) => {
  let on: Ground;
  beforeAll(async () => {
    if (here) on = await ground({ operands: 'v' }, major, { files: [], more: SCHEMA });
  });
  afterAll(() => on?.stop());

  it.skipIf(!here)('are as its catalog has them, and so are the types', async () => {
    const { rows: types } = await on.server.query(
      'operands',
      `SELECT typname, oid::int FROM pg_type WHERE oid = ANY ($1) AND typtype = 'b' AND typcategory <> 'A'`,
      [[...TYPES.values()]],
    );
    expect(new Map(types.map(({ typname, oid }) => [typname, oid]))).toEqual(new Map(TYPES));
    const { rows } = await on.server.query(
      'operands',
      `SELECT oprname, oprleft::int, oprright::int FROM pg_operator WHERE oid < 16384`,
    );
    const there = new Set(rows.map(({ oprname, oprleft, oprright }) => `${oprname} ${oprleft} ${oprright}`));
    const oids = [...TYPES.values()];
    for (const name of [
      '=',
      '<>',
      '<',
      '<=',
      '>',
      '>=',
      '~~',
      '!~~',
      '~~*',
      '!~~*',
      '~',
      '!~',
      '~*',
      '!~*',
      '^@',
    ])
      for (const left of oids)
        for (const right of oids)
          if (exact(name, left, right)) expect(there).toContain(`${name} ${left} ${right}`);
  });

  it.skipIf(!here)(
    'that users have are never taken where they were ruled out',
    { timeout: 60_000 },
    async () => {
      const client = await on.client('operands');
      let meant = 0;
      let certain = 0;
      for (const name of NAMES)
        for (const left of SIDES)
          for (const right of SIDES) {
            const sql = `SELECT (${left} ${name} ${right}) AS o FROM t`;
            await client.query('BEGIN');
            const made = await client.query(`CREATE VIEW v AS ${sql}`).then(
              () => true,
              () => false,
            );
            const { rows } = made
              ? await client.query(`SELECT p.proname FROM pg_depend d JOIN pg_rewrite w ON w.oid = d.objid
                JOIN pg_operator o ON o.oid = d.refobjid JOIN pg_proc p ON p.oid = o.oprcode
                WHERE w.ev_class = 'v'::regclass AND d.refclassid = 'pg_operator'::regclass AND o.oid >= 16384`)
              : { rows: [] };
            await client.query('ROLLBACK');
            if (!made) continue;
            const unknowns = on.judge(sql).facts?.statements[0]?.unknowns ?? [];
            for (const { proname } of rows) expect(unknowns, sql).toContain(`function public.${proname}`);
            if (rows.length > 0) meant += 1;
            else if (unknowns.length === 0) certain += 1;
          }
      expect(meant).toBeGreaterThan(50);
      expect(certain).toBeGreaterThan(100);
    },
  );
});
