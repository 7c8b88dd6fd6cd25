/** A small shop as policy sees it: what the corpora in this folder are judged against. */
import type { AnalyseInput, TagLookup } from '../../src/policy/analyse.ts';
import type {
  CatalogColumn,
  CatalogForeignKey,
  CatalogFunction,
  CatalogRelation,
  CatalogSnapshot,
} from '../../src/policy/types.ts';

const oids = new Map<string, number>();
function oid(name: string): number {
  const known = oids.get(name);
  if (known !== undefined) return known;
  oids.set(name, 16_384 + oids.size);
  return 16_384 + oids.size - 1;
}

function columns(text: string): CatalogColumn[] {
  return text.split(' ').map((name) => ({ name, type: 'text', comment: null, generated: null }));
}

function relation(name: string, cols: string, more: Partial<CatalogRelation> = {}): CatalogRelation {
  const [schema, bare] = name.includes('.') ? name.split('.') : ['public', name];
  return {
    oid: oid(name),
    schema: schema ?? 'public',
    name: bare ?? name,
    relkind: 'r',
    columns: columns(cols),
    definition: null,
    parents: [],
    triggers: [],
    calls: [],
    rules: [],
    rowSecurity: false,
    rows: 100,
    ...more,
  };
}

function view(name: string, cols: string, definition: string, relkind = 'v'): CatalogRelation {
  return relation(name, cols, { definition, relkind });
}

function fn(
  name: string,
  language: string,
  body: string | null,
  more: Partial<CatalogFunction> = {},
): CatalogFunction {
  const [schema, bare] = name.includes('.') ? name.split('.') : ['public', name];
  return {
    oid: oid(`fn ${name}`),
    schema: schema ?? 'public',
    name: bare ?? name,
    language,
    kind: 'f',
    volatility: 'v',
    body,
    config: [],
    securityDefiner: false,
    extension: null,
    calls: [],
    ...more,
  };
}

function key(from: string, to: string, onDelete: CatalogForeignKey['onDelete']): CatalogForeignKey {
  return { from: oid(from), to: oid(to), columns: [], keys: [], onDelete, onUpdate: 'no action' };
}

export const relations: readonly CatalogRelation[] = [
  relation('customers', 'id name email ssn credit_card created_at'),
  relation('orders', 'id customer_id total status note created_at'),
  relation('order_items', 'id order_id sku quantity'),
  relation('audit', 'id order_id what'),
  relation('plain', 'id label'),
  relation('archive', 'id contact'),
  relation('ruled', 'id label', { rules: ['insert'] }),
  relation('triggered', 'id label', {
    triggers: [{ function: 'public.stamp', on: ['insert', 'update', 'delete'], before: true }],
  }),
  relation('other.customers', 'id email nick'),
  relation('events', 'id at actor_email payload', { relkind: 'p' }),
  relation('events_2026', 'id at actor_email payload', { parents: [oid('events')] }),
  relation('bits', 'id data', {}),
  relation('bits_tagged', 'id data', { parents: [oid('bits')] }),
  view('customer_emails', 'id mail', 'SELECT c.id, c.email AS mail FROM public.customers c;'),
  view(
    'customer_contacts',
    'id contact',
    'SELECT e.id, upper(e.mail) AS contact FROM public.customer_emails e;',
  ),
  view('customer_names', 'id name', ' SELECT customers.id, customers.name FROM public.customers;'),
  view(
    'customer_summary',
    'id mail',
    ' SELECT customers.id, customers.email AS mail FROM public.customers;',
    'm',
  ),
  view('hidden_view', 'id secret', 'this is not SQL'),
  view('purging_view', 'n', 'SELECT public.purge() AS n'),
];

export const functions: readonly CatalogFunction[] = [
  fn('get_emails', 'sql', 'SELECT email FROM public.customers'),
  fn('count_customers', 'sql', 'SELECT count(*) FROM public.customers'),
  fn('purge', 'sql', 'DELETE FROM public.orders; SELECT 1;'),
  fn(
    'atomic_email',
    'sql',
    'BEGIN ATOMIC\n SELECT customers.email FROM public.customers WHERE (customers.id = $1);\nEND',
  ),
  fn('plus_one', 'sql', 'RETURN ($1 + 1)', { volatility: 'i' }),
  fn('find_customer', 'sql', 'SELECT id FROM public.customers WHERE email = address'),
  fn('mystery', 'plpgsql', 'BEGIN DELETE FROM orders; END'),
  fn('mystery_stable', 'plpgsql', 'BEGIN RETURN 1; END', { volatility: 's' }),
  fn('stamp', 'plpgsql', 'BEGIN NEW.label := upper(NEW.label); RETURN NEW; END'),
  fn('trusted_one', 'c', null),
  fn('lower', 'plpgsql', 'BEGIN END', { schema: 'evil' }),
  fn('do_purge', 'sql', 'DELETE FROM public.orders WHERE id = $1', { kind: 'p' }),
  fn('loop_a', 'sql', 'SELECT public.loop_b()'),
  fn('loop_b', 'sql', 'SELECT public.loop_a()'),
];

export const catalog: CatalogSnapshot = {
  version: '1',
  database: 'shop',
  serverVersion: 180004,
  relations,
  functions,
  foreignKeys: [
    key('orders', 'customers', 'cascade'),
    key('order_items', 'orders', 'cascade'),
    key('audit', 'orders', 'set null'),
  ],
  customOperators: [
    { schema: 'public', name: '===', calls: ['public.mystery'] },
    { schema: 'public', name: 'checked_text', calls: ['public.mystery'] },
  ],
  takenAt: 0,
};

const TAGGED = new Map([
  ['customers.email', 'email'],
  ['customers.ssn', 'ssn'],
  ['customers.credit_card', 'card'],
  ['events.actor_email', 'email'],
  ['bits_tagged.data', 'secret'],
]);

export const tagsOf: TagLookup = (_schema, relation, column, comment) =>
  comment ?? TAGGED.get(`${relation}.${column}`) ?? null;

export const input: AnalyseInput = {
  catalog,
  resolution: { searchPath: ['public'], tempRelations: [] },
  tagsOf,
  trustedFunctions: ['trusted_one'],
};
