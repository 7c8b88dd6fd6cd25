/** Row security whose text cannot be read: the statement is not known. */
import { beforeAll, expect, it } from 'vitest';
import { analyse, loadParser } from '../../src/policy/analyse.ts';
import type { CatalogPolicy } from '../../src/policy/types.ts';
import { catalog, input } from './fixture.ts';

beforeAll(() => loadParser());

function unknowns(policy: Pick<CatalogPolicy, 'text'> & Partial<CatalogPolicy>): readonly string[] {
  const relations = catalog.relations.map((relation) =>
    relation.name === 'plain'
      ? { ...relation, rowSecurity: true, policies: [{ on: ['read' as const], calls: [], ...policy }] }
      : relation,
  );
  const analysis = analyse('SELECT id FROM plain', { ...input, catalog: { ...catalog, relations } });
  if (analysis.kind !== 'facts') throw new Error(JSON.stringify(analysis));
  return analysis.statements.flatMap((statement) => statement.unknowns);
}

it.each([
  ['hidden', null],
  ['no SQL', 'id >'],
  ['more than an expression', 'true; SELECT 1'],
])('%s', (_, text) => expect(unknowns({ text })).toEqual(['row security of public.plain']));

it('that can be read is followed', () => {
  expect(unknowns({ text: 'id > 0' })).toEqual([]);
  expect(unknowns({ text: 'id > 0', on: ['insert'] })).toEqual([]);
  expect(unknowns({ text: 'id > public.mystery()' })).toEqual(['function public.mystery']);
  expect(unknowns({ text: 'id IS DISTINCT FROM 1', calls: ['public.mystery'] })).toEqual([
    'function public.mystery',
  ]);
});
