/** The renderer: every state, every limit, and nothing hostile that Slack would interpret. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cautions } from '../../src/approvals/about.ts';
import { NOTHING_KNOWN } from '../../src/approvals/impact.ts';
import { type ApprovalRequest, REQUEST_STATES, type RequestState } from '../../src/approvals/types.ts';
import { needsConfirm } from '../../src/approvals/words.ts';
import { renderAlert } from '../../src/bot/alerts.ts';
import { renderCard, renderStub } from '../../src/bot/cards.ts';
import { directMessage } from '../../src/bot/direct.ts';
import { homeBlocks } from '../../src/bot/home.ts';
import { pendingMessage, policyMessage, revealedMessage, sessionsMessage } from '../../src/bot/listings.ts';
import { denyModal, fullSqlModal } from '../../src/bot/modals.ts';
import { sqlView } from '../../src/bot/sql-view.ts';
import { hasUnseen, visible } from '../../src/bot/text.ts';
import { escalationNote, outcomeNote, reminderNote, sessionNote } from '../../src/bot/thread.ts';
import type { Alert, PolicySummary, SessionRow } from '../../src/bot/types.ts';
import { holds } from '../support/property.ts';
import { checkMessage, checkView, total } from '../support/slack/limits.mjs';
import { makeRequest, NOW } from './support.ts';

const OPTIONS = { now: NOW, publicUrl: 'https://hold.example.com/' };
const card = (request: ApprovalRequest) => renderCard(request, OPTIONS);
const shown = (request: ApprovalRequest): string => JSON.stringify(card(request).blocks);
const dana = (effect: 'approve' | 'deny', reason: string | null = null) => ({
  groups: ['dba'],
  approverId: 'dana@example.com',
  approverName: 'Dana',
  surface: 'console' as const,
  effect,
  reason,
  at: NOW + 1000,
});
const outcome = { code: null, rows: 12, tag: 'DELETE 12', ms: 34.4, transactionOpen: false };

const CALLED = [
  { kind: 'usergroup', id: 'S0DBA0001' },
  { kind: 'user', id: 'UDANA' },
] as const;
const PERSON = { id: 'dana@example.com', name: 'Dana', surface: 'slack' } as const;
const ESCALATION = ({ rules }: ApprovalRequest) => ({ afterMs: 1, groups: rules });
const alertOf = ({ requester, rules, reason }: ApprovalRequest): Alert => ({
  id: 'AL-0123456789abcdef',
  key: reason,
  requester,
  count: 7,
  since: NOW,
  at: NOW,
  lines: rules.slice(0, 5),
  channel: '#db',
  ts: null,
  shown: false,
  suspendedBy: null,
});
const policyOf = ({ reason, rules }: ApprovalRequest): PolicySummary => ({
  target: 'shop',
  version: reason,
  preset: reason,
  observed: true,
  defaults: [{ name: 'ddl', effect: 'hold' }],
  rules: rules.map((name) => ({ name, effect: 'hold', observed: true })),
  change: { at: NOW, author: reason },
});

const sessionOf = ({ id, requester, reason }: ApprovalRequest, index: number): SessionRow => ({
  ...requester,
  id: `${id}-${index}`,
  environment: reason,
  target: reason,
  startedAt: NOW,
  endedAt: null,
  ...{ statements: 1e6, held: 1e6, denied: 1e6, errors: 1e6 },
});

/** Every string that Slack reads as mrkdwn: the fallback text and mrkdwn objects. */
function mrkdwnOf(value: unknown, out: string[] = []): string[] {
  if (Array.isArray(value)) for (const each of value) mrkdwnOf(each, out);
  else if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value);
    const type = entries.find(([key]) => key === 'type')?.[1];
    const text = entries.find(([key]) => key === 'text')?.[1];
    if (type === 'mrkdwn' && typeof text === 'string') out.push(text);
    for (const [, each] of entries) mrkdwnOf(each, out);
  }
  return out;
}
function strings(value: unknown, out: string[] = []): string[] {
  if (typeof value === 'string') out.push(value);
  else if (Array.isArray(value)) for (const each of value) strings(each, out);
  else if (typeof value === 'object' && value !== null)
    for (const each of Object.values(value)) strings(each, out);
  return out;
}

it('a bind value is taken neither for another one nor for NULL', () => {
  const binds = ['a\n$2 = 7', null, 'NULL', '', ' x', '7'];
  const request = makeRequest({ statement: { sql: 'SELECT $1\n\n-- bind values\n-- $1 = 1', binds } });
  const memory = { value: request, channel: 'C0DB000001', ts: '1.2' };
  const shown = `$1 = a↵$2 = 7\n$2 = NULL\n$3 = 'NULL'\n$4 = ''\n$5 = ' x'\n$6 = 7`;
  for (const blocks of [card(request).blocks, fullSqlModal(request, memory, OPTIONS).blocks]) {
    const at = blocks.findIndex((block) => JSON.stringify(block).includes('"Bind values"'));
    expect(JSON.stringify(blocks[at])).toContain(JSON.stringify(shown).slice(1, -1));
  }
});

describe('a pending card', () => {
  it('shows who, where, what, the exact SQL, the rule and the buttons', () => {
    const text = shown(makeRequest());
    for (const part of [
      'HP-7Q2F',
      'Cursor for Alice',
      'alice@example.com',
      'prod',
      'holdpoint_rw',
      'public.orders',
      'DELETE FROM orders WHERE id = 7',
      'deletes',
      'hp_approve',
      'Wrong target',
      'https://hold.example.com/requests/HP-7Q2F',
    ])
      expect(text).toContain(part);
    expect(card(makeRequest()).text).toBe('DELETE shop/orders · Cursor for Alice · HP-7Q2F');
  });

  it('carries nothing but id and version in its values', () => {
    const blocks = card(makeRequest({ version: 4 })).blocks;
    const values = JSON.stringify(blocks).match(/"value":"[^"]*"/g) ?? [];
    for (const value of values) expect(value).toMatch(/^"value":"HP-7Q2F:4(:[a-z-]+)?"$/);
    expect(values.length).toBeGreaterThan(4);
  });

  it('names its blocks anew with each version', () => {
    const ids = (version: number) => card(makeRequest({ version })).blocks.map((each) => each.block_id);
    expect(ids(1).filter((each) => ids(2).includes(each))).toEqual([]);
  });

  it.each([
    ['DELETE with WHERE', {}, false],
    ['DDL', { class: 'ddl' }, true],
    ['no WHERE', { missingWhere: true }, true],
    ['TRUNCATE', { class: 'truncate' }, true],
  ] as const)('asks twice for %s: %s', (_what, statement, twice) => {
    const request = makeRequest({ statement });
    expect(needsConfirm(request)).toBe(twice);
    expect(shown(request).includes('"confirm":{')).toBe(twice);
  });

  it('spells out what the eye cannot see', () => {
    const sql = 'DELETE FROM orders\u202e WHERE id\u200b = 7 -- \u0007';
    const text = shown(makeRequest({ statement: { sql } }));
    expect(text).toContain('orders⟨U+202E⟩ WHERE id⟨U+200B⟩ = 7 -- ⟨U+0007⟩');
    expect(text).toContain('Invisible, reordering or disguised characters');
  });

  it('shows bind values, and what the client says as such', () => {
    const request = makeRequest({
      statement: { binds: ['7', null, '<pii:text>'], clientSays: 'urgent!\n<!channel> *approve*' },
    });
    const text = shown(request);
    expect(text).toContain('$1 = 7\\n$2 = NULL\\n$3 = <pii:text>');
    expect(text).toContain('The client says:');
    expect(mrkdwnOf(card(request).blocks).join()).not.toContain('approve');
  });

  it('shows the tidied form beside the exact one, never instead of it', () => {
    const sql = 'delete from orders where id=7';
    const text = shown(makeRequest({ statement: { sql, tidied: 'DELETE FROM orders\nWHERE id = 7' } }));
    expect(text).toContain('Tidied for reading');
    expect(text).toContain(sql);
  });

  it('says how many approvals are there', () => {
    const terms = { ...makeRequest().terms, quorum: 2 };
    const text = shown(makeRequest({ terms, decisions: [dana('approve')] }));
    expect(text).toContain('Waiting for approval: 1 of 2');
    expect(text).toContain('Approved by Dana in the console');
  });

  it('cannot be approved where the SQL does not fit: by length, by lines, by bind values', () => {
    const long = [
      { sql: `SELECT ${'1, '.repeat(3000)}1` },
      { sql: `SELECT 1;${'\n'.repeat(200)}DROP TABLE orders` },
      { sql: 'SELECT $1', binds: ['x'.repeat(3000)] },
      { sql: `SELECT '${'\u200b'.repeat(600)}'` },
    ];
    for (const statement of long) {
      const text = shown(makeRequest({ statement }));
      expect(text).not.toContain('hp_approve');
      expect(text).toContain('hp_view');
      expect(text).toContain(`SHA-256 ${'a'.repeat(64)}`);
    }
    expect(shown(makeRequest({ statement: long[1] ?? {} }))).toContain('DROP TABLE orders');
  });
});

describe('a decided card', () => {
  const cases: readonly [string, Partial<ApprovalRequest>, string][] = [
    ['granted, somebody waits', { state: 'granted', decisions: [dana('approve')] }, 'about to run'],
    [
      'granted, nobody waits',
      { state: 'granted', waiterLive: false, grantExpiresAt: NOW + 900_000, decisions: [dana('approve')] },
      'Approved, not run, waiting for retry until <!date^1795256100^{date_short_pretty} {time}|2026-11-21 10:15 UTC>',
    ],
    ['executing', { state: 'executing' }, 'running'],
    ['executed', { state: 'executed', outcome }, 'Executed: 12 rows in 34 ms'],
    ['failed', { state: 'failed', outcome: { ...outcome, code: '23503' } }, 'SQLSTATE 23503 after 34 ms'],
    ['unknown', { state: 'unknown' }, 'outcome unknown'],
    [
      'denied',
      { state: 'denied', decisions: [dana('deny', 'too broad')] },
      'Denied by Dana in the console: too broad',
    ],
    ['expired', { state: 'expired' }, 'Expired before anyone decided. Not run'],
    [
      'withdrawn',
      { state: 'withdrawn', note: 'cancelled by the client' },
      'Withdrawn: cancelled by the client. Not run',
    ],
    ['lapsed', { state: 'lapsed' }, 'not retried in time. Not run'],
  ];
  it.each(cases)('%s: says so and has no buttons', (_what, overrides, words) => {
    const text = shown(makeRequest({ ...overrides, version: 3 }));
    expect(text).toContain(words);
    expect(text).not.toContain('"type":"actions"');
  });
});

describe('hostile text', () => {
  const nasty = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 400 }),
    fc.constantFrom(
      '<!channel>',
      '<!here|x>',
      '<@U123>',
      '<https://evil.example|click>',
      '&lt;!channel&gt;',
      '*bold* `code` ~x~',
      '```',
      '\u202edesrever',
      '\u200b\u2066\u2069',
      '\u0000\u0007\u001b[31m',
      '\ud800',
      '😀'.repeat(50),
      'a\u0301\u0301\u0301\u0301',
      'שלום',
      '\u3164\u115f\u2800',
      '\r\n\r',
      ':rotating_light:',
      '"\\"'.repeat(100),
      'x'.repeat(5000),
      '\n'.repeat(300),
      '<!date^0^{date}^https://evil.example|now>',
    ),
  );
  const text = fc.array(nasty, { minLength: 1, maxLength: 8 }).map((parts) => parts.join(''));
  const names = fc.array(text, { maxLength: 30 });
  const request = fc
    .record({
      state: fc.constantFrom(...REQUEST_STATES),
      version: fc.integer({ min: 1, max: 999_999_999 }),
      sql: text,
      tidied: fc.option(text, { nil: null }),
      binds: fc.array(fc.option(text, { nil: null }), { maxLength: 60 }),
      says: fc.option(text, { nil: null }),
      relations: names,
      tagged: names,
      rules: names,
      words: text,
      owner: fc.option(text, { nil: null }),
      missingWhere: fc.boolean(),
      decisions: fc.integer({ min: 0, max: 8 }),
    })
    .map((draw) =>
      makeRequest({
        state: draw.state,
        version: draw.version,
        reason: draw.words,
        note: draw.words,
        impact: {
          ...NOTHING_KNOWN,
          why: draw.words,
          approximate: true,
          tables: draw.relations.map((name) => ({ name, rows: 1e9, bytes: 1e12 })),
          lock: { mode: 'EXCLUSIVE', relations: draw.relations },
          cascades: draw.relations,
          triggers: draw.tagged,
          dependents: draw.rules,
          rewrites: 'maybe',
          parts: {
            lines: Array.from({ length: 5 }, () => ({
              ...{ what: draw.words, rows: null, why: draw.words, approximate: false },
            })),
            more: 195,
          },
        },
        rules: draw.rules,
        waiterLive: draw.missingWhere,
        grantExpiresAt: NOW,
        endedAt: NOW,
        outcome: { code: draw.words, rows: null, tag: draw.words, ms: 1, transactionOpen: false },
        requester: {
          ...makeRequest().requester,
          ownerName: draw.owner,
          agent: draw.says,
          ownerEmail: draw.owner,
          subject: draw.words,
        },
        target: { name: draw.words, environment: draw.words, database: draw.words, role: draw.words },
        terms: { ...makeRequest().terms, quorum: 3, approverGroups: draw.rules },
        decisions: Array.from({ length: draw.decisions }, () => ({
          ...dana('deny', draw.words),
          approverName: draw.words,
        })),
        statement: {
          sql: draw.sql,
          tidied: draw.tidied,
          verb: draw.words,
          binds: draw.binds,
          clientSays: draw.says,
          relations: draw.relations,
          taggedColumns: draw.tagged,
          missingWhere: draw.missingWhere,
          transaction: 'open',
          snapshotPredates: true,
          statementCount: 12,
          bytes: 262_144,
        },
      }),
    );

  const cardFits = (each: ApprovalRequest): void => {
    const message = card(each);
    expect(checkMessage({ ...message })).toBeNull();
    expect(total(message.blocks)).toBeLessThanOrEqual(8000);
    harmless(message);
    // What is decided on and with is there, whatever else there was to say.
    const names = message.blocks.map(({ block_id }) => block_id?.split(':')[2]);
    expect(names).toEqual(expect.arrayContaining(['head', 'state', 'facts', 'sql']));
    expect(names.includes('act')).toBe(each.state === 'pending');
    for (const { words } of cautions(each)) expect(JSON.stringify(message.blocks)).toContain(words);
    // Approve is there only with the whole text beside it.
    const buttons = JSON.stringify(message.blocks);
    if (buttons.includes('hp_approve'))
      expect(buttons).toContain(JSON.stringify(visible(each.statement.sql) || ' ').slice(1, -1));
    if (sqlView(each.statement).kind === 'cut') expect(buttons).not.toContain('hp_approve');
  };
  /** In mrkdwn objects there are words of ours and dates, nothing else; and nothing is unseen. */
  function harmless(shown: unknown): void {
    const all = JSON.parse(JSON.stringify(shown));
    for (const words of mrkdwnOf(all))
      expect(words).toMatch(
        /^[A-Za-z ✅,]*<!date\^\d+\^\{date_short_pretty\} \{time\}\|[\d :-]+ UTC>$|^[A-Za-z ✅,]*$/,
      );
    for (const one of strings(all))
      expect(hasUnseen(one.replaceAll(/[\p{L}\p{N}\p{M}\p{P}\p{S}]/gu, ''))).toBe(false);
  }

  it('never breaks a limit of a card, is never interpreted, never hides', () => {
    holds(fc.property(request, cardFits), { numRuns: 250, large: true });
  });
  it.each([438238752, 1910923514, -1916822672])('nor did what was drawn with seed %i', (seed) => {
    for (const each of fc.sample(request, { seed, numRuns: 250 })) cardFits(each);
  });

  it('never breaks a limit of other messages and windows, and is never interpreted in them', () => {
    holds(
      fc.property(request, (each) => {
        const many = Array.from({ length: 40 }, (_, index) => ({ ...each, id: `HP-M${index}` }));
        const messages = [
          renderStub(each),
          outcomeNote(each, NOW),
          sessionNote(each, null, NOW),
          sessionNote(each, OPTIONS.publicUrl, NOW),
          directMessage(each, OPTIONS),
          reminderNote(each, []),
          reminderNote(each, CALLED),
          escalationNote({ ...each, terms: { ...each.terms, escalation: ESCALATION(each) } }, CALLED),
          renderAlert(alertOf(each), null),
          renderAlert({ ...alertOf(each), suspendedBy: each.reason }, CALLED[0] ?? null),
          pendingMessage(many),
          policyMessage(many.map((one, index) => ({ ...policyOf(one), target: `shop${index}` }))),
          sessionsMessage(each.reason, many.map(sessionOf), { publicUrl: null, held: true }),
          revealedMessage(each.id, each.statement),
        ];
        for (const one of messages) expect(checkMessage({ ...one })).toBeNull();
        const memory = { value: each, channel: 'C0DB000001', ts: '1.2' };
        const lists = { notice: each.reason, waiting: many, mine: many, recent: many };
        const views = [
          fullSqlModal(each, memory, { ...OPTIONS, publicUrl: null }),
          fullSqlModal(each, memory, OPTIONS),
          denyModal(each, memory),
          ...[PERSON, null].map((me) => ({ type: 'home', blocks: homeBlocks(lists, { now: NOW, me }) })),
        ];
        for (const view of views) expect(checkView(view)).toBeNull();
        harmless([messages, views]);
      }),
      { numRuns: 60, large: true },
    );
  });
});

describe('the budget of a card', () => {
  const long = (letter: string): string => `${letter}${'"\\'.repeat(2000)}`;
  const everything = (state: RequestState): ApprovalRequest =>
    makeRequest({
      state,
      reason: long('r'),
      note: long('n'),
      rules: Array(9).fill(long('u')),
      waiterLive: false,
      grantExpiresAt: NOW,
      endedAt: state === 'pending' ? null : NOW,
      outcome: { code: null, rows: null, tag: long('t'), ms: 1, transactionOpen: true },
      requester: {
        ...makeRequest().requester,
        agent: long('a'),
        ownerName: long('o'),
        ownerEmail: long('e'),
      },
      target: { name: long('n'), environment: long('e'), database: long('d'), role: long('r') },
      terms: { ...makeRequest().terms, quorum: 3, approverGroups: Array(9).fill(long('g')) },
      decisions: Array(9).fill({ ...dana('approve', long('w')), approverName: long('D') }),
      impact: {
        ...NOTHING_KNOWN,
        tables: Array(9).fill({ name: long('t'), rows: 1e9, bytes: 1e12 }),
        cascades: Array(9).fill(long('c')),
        triggers: Array(9).fill(long('f')),
        dependents: Array(9).fill(long('v')),
      },
      statement: {
        sql: `DELETE FROM t -- ${'x'.repeat(3700)}\u202e<pii>`,
        binds: [`"${'y'.repeat(800)}`],
        relations: Array(9).fill(long('t')),
        taggedColumns: Array(9).fill(long('s')),
        clientSays: long('c'),
        ...{ verb: long('v'), missingWhere: true, transaction: 'open', snapshotPredates: true },
        ...{ statementCount: 12, bytes: 262_144 },
      },
    });
  it.each(REQUEST_STATES)(
    'holds all that matters of a %s request at its largest, and says what does not fit',
    (state) => {
      const message = card(everything(state));
      expect(checkMessage({ ...message })).toBeNull();
      const text = JSON.stringify(message.blocks);
      for (const { words } of cautions(everything(state))) expect(text).toContain(words);
      for (const part of ['Who ', 'Where ', 'x'.repeat(3700), `$1 = \\"${'y'.repeat(800)}`])
        expect(text).toContain(part);
      expect(text).toMatch(/more lines in the console|Not all of it fits here/);
      if (state === 'pending') expect(text).toContain('hp_approve');
    },
  );

  it('leaves out what is nice to have first, whole lines of it', () => {
    const lines = Array.from({ length: 4 }, (_, i) => ({
      name: `table_${i}_${'x'.repeat(60)}`,
      rows: 1,
      bytes: 1e6,
    }));
    const impact = { ...NOTHING_KNOWN, tables: lines, cascades: ['orders'], rewrites: true as const };
    const small = shown(makeRequest({ impact }));
    expect(small).toContain('Goes on to orders');
    expect(small).not.toContain('in the console"');
    const full = shown(everything('pending'));
    expect(full).toContain('Personal data: s');
    expect(full).not.toContain('Goes on to');
  });

  it('goes to the latest decisions, and counts the earlier ones', () => {
    const decisions = Array.from({ length: 7 }, (_, i) => ({
      ...dana('approve'),
      approverName: `Approver ${i}`,
    }));
    const text = shown(makeRequest({ decisions, terms: { ...makeRequest().terms, quorum: 9 } }));
    expect(text).toContain('and 3 earlier decisions in the console');
    expect(text).toContain('Approver 6');
    expect(text).not.toContain('Approved by Approver 2');
  });
});
