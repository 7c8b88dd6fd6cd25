/** Names in bodies resolve when those run: by the session's path, wherever the function is called, and by another one if the statement sets it. */
import { beforeAll, describe, expect, it } from 'vitest';
import { analyse, loadParser } from '../../src/policy/analyse.ts';
import type { CatalogFunction, CatalogRelation, StatementClass } from '../../src/policy/types.ts';
import { catalog, input, tagsOf } from './fixture.ts';

beforeAll(loadParser);

const model = catalog.functions.find(({ name }) => name === 'plus_one');
const plain = catalog.relations.find(({ name }) => name === 'plain');
if (model === undefined || plain === undefined) throw new Error('the fixture has changed');
let oid = 99_000;
const fn = (schema: string, name: string, body: string, config: readonly string[] = []): CatalogFunction => ({
  ...model,
  oid: oid++,
  schema,
  name,
  body,
  config,
  volatility: 'v',
});
const functions = [
  ...catalog.functions,
  fn('public', 'scale', 'SELECT 1'),
  fn('alt', 'scale', 'DELETE FROM public.orders; SELECT 1'),
  fn('public', 'scaled', 'SELECT scale(1)'),
  fn('public', 'own_path', 'SELECT scale(1)', ['search_path=public']),
  { ...fn('public', 'as_owner', 'SELECT scale(1)'), securityDefiner: true },
  { ...fn('public', 'as_owner_own', 'SELECT scale(1)', ['search_path=public']), securityDefiner: true },
  fn('public', 'set_path', "SELECT set_config('search_path', $1, true)"),
  fn('public', 'inside_own', "SELECT set_config('search_path', 'alt', true); SELECT scale(1)", [
    'search_path=public',
  ]),
];
const relation = (name: string, more: Partial<CatalogRelation>): CatalogRelation => ({
  ...plain,
  oid: oid++,
  name,
  ...more,
});
const trigger = (name: string, deferrable: boolean, config: readonly string[] = []) => {
  functions.push({
    ...fn('public', `${name}_trigger`, 'BEGIN PERFORM scale(1); RETURN NULL; END', config),
    language: 'plpgsql',
  });
  return relation(name, {
    triggers: [{ function: `public.${name}_trigger`, on: ['insert'], before: false, deferrable }],
  });
};
const relations = [
  ...catalog.relations,
  relation('view_of', {
    relkind: 'v',
    definition: 'SELECT id, label FROM public.plain WHERE public.scaled() > 0',
  }),
  relation('view_own', {
    relkind: 'v',
    definition: 'SELECT id, label FROM public.plain WHERE public.own_path() > 0',
  }),
  trigger('fired', false),
  trigger('deferred', true),
  trigger('deferred_own', true, ['search_path=public']),
  relation('view_of_view', { relkind: 'v', definition: 'SELECT id, label FROM public.view_of' }),
];

function classOf(sql: string, searchPath: readonly string[] | null): StatementClass {
  const analysis = analyse(sql, {
    ...input,
    catalog: { ...catalog, functions, relations },
    resolution: { searchPath, tempRelations: [] },
    tagsOf,
  });
  if (analysis.kind !== 'facts') throw new Error(JSON.stringify(analysis));
  return analysis.class;
}

describe('a body', () => {
  it.each(['SELECT public.scaled()', 'SELECT id FROM public.view_of', 'SELECT id FROM public.view_of_view'])(
    'finds names by the path of the session: %s',
    (sql) => {
      // In either order: what a definition comes to is kept.
      for (let i = 0; i < 2; i++) {
        expect(classOf(sql, ['public'])).toBe('read');
        expect(classOf(sql, ['alt', 'public'])).toBe('delete');
        expect(classOf(sql, null)).toBe('delete');
      }
    },
  );

  it('of a trigger that may be put off to the end of the transaction finds them by whatever path there is then', () => {
    expect(classOf('INSERT INTO public.fired VALUES (1)', ['public'])).toBe('insert');
    expect(classOf('INSERT INTO public.fired VALUES (1)', ['alt', 'public'])).toBe('delete');
    expect(classOf('INSERT INTO public.deferred VALUES (1)', ['public'])).toBe('delete');
    expect(classOf('INSERT INTO public.deferred_own VALUES (1)', ['alt'])).toBe('insert');
  });

  it('of a cursor that is held finds them by whatever path there is when its transaction ends', () => {
    const declared = 'CURSOR WITH HOLD FOR SELECT public.scaled()';
    expect(classOf(`DECLARE c ${declared.replace('WITH HOLD ', '')}`, ['public'])).toBe('cursor');
    expect(classOf(`DECLARE c ${declared}`, ['public'])).toBe('delete');
    expect(classOf(`DECLARE c ${declared.replace('scaled', 'own_path')}`, ['public'])).toBe('cursor');
  });

  it('that runs as its owner finds them by whatever path that role has', () => {
    expect(classOf('SELECT public.as_owner()', ['public'])).toBe('delete');
    expect(classOf('SELECT public.as_owner_own()', ['alt', 'public'])).toBe('read');
  });

  it.each(['SELECT public.own_path()', 'SELECT id FROM public.view_own'])(
    'finds them by its own path: %s',
    (sql) => {
      expect(classOf(sql, ['public'])).toBe('read');
      expect(classOf(sql, ['alt', 'public'])).toBe('read');
    },
  );

  it.each([
    "SELECT set_config('search_path', 'alt', false), public.scaled()",
    "SELECT public.scaled() FROM set_config('search_path', 'alt', false) s",
    "SELECT public.set_path('alt'), public.scaled()",
    "SELECT public.set_path('alt'), id FROM public.view_of",
    'SELECT public.inside_own()',
    'SELECT set_config($1, $2, false), public.scaled()',
  ])('may find others where the statement sets the path: %s', (sql) => {
    expect(classOf(sql, ['public'])).toBe('delete');
  });

  it.each([
    "SELECT set_config('search_path', 'alt', false)",
    "SELECT set_config('search_path', 'alt', false), id FROM public.plain",
    "SELECT set_config('work_mem', '4MB', false), public.scaled()",
    "SELECT public.set_path('alt'), public.plus_one(1)",
  ])('finds the same where nothing of another path is called: %s', (sql) => {
    expect(['read', 'session']).toContain(classOf(sql, ['public']));
  });
});
