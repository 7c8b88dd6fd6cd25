/** What a session hands to its recording, and when (I4, DESIGN.md 11). */
import { describe, expect, it } from 'vitest';
import { type Subject, simple } from '../../src/gateway/draft.ts';
import { plan } from '../../src/gateway/plan.ts';
import { SessionRecord } from '../../src/gateway/record.ts';
import { Run } from '../../src/gateway/run.ts';
import { RecordingFault } from '../../src/recordings/fault.ts';
import type { RecordedEvent } from '../../src/recordings/types.ts';
import { aRequest } from '../console/fakes.ts';

function start() {
  const disk = { full: false, gone: false };
  const events: RecordedEvent[] = [];
  let lost = 0;
  const record = new SessionRecord(
    {
      append(more) {
        if (disk.gone) throw new RecordingFault('closed');
        if (disk.full) throw new RecordingFault('disk-full');
        events.push(...more);
      },
      close: () => undefined,
    },
    () => 0,
    () => {
      lost += 1;
    },
  );
  const kinds = (): string[] => events.flatMap((event) => ('n' in event ? [`${event.kind} ${event.n}`] : []));
  return { disk, events, record, kinds, lost: () => lost };
}

const subject = (sql: string, policyVersion = '1'): Subject =>
  simple(
    plan(sql, [
      {
        sql,
        facts: {
          kind: 'facts',
          class: 'read',
          statements: [],
          touchesTagged: false,
          exposes: false,
          redactions: [],
          taggedBinds: [],
          treeDigest: '',
          definitionsDigest: '',
        },
        verdict: {
          effect: 'allow',
          rules: [],
          reason: '',
          terms: { approverGroups: [], quorum: 1, waitMs: null, expiresMs: null, reasonRequired: false },
        },
        probe: 'none',
        policyVersion,
        catalogVersion: null,
      },
    ]),
  );

function ran(n: number): Run {
  const run = new Run({
    n,
    plan: subject('SELECT 1').plan,
    approval: null,
    startedAt: 0,
    fields: null,
    resultFormats: [],
  });
  run.row(Buffer.from([0x44, 0, 0, 0, 11, 0, 1, 0, 0, 0, 1, 0x37]));
  return run;
}

describe('nothing waits in memory for a statement that may never come', () => {
  it('a refusal is written at once', () => {
    const { record, kinds } = start();
    const n = record.statement(subject('DROP TABLE x'), 'deny') ?? 0;
    record.refused(n, { code: '42501', message: 'blocked' });
    expect(kinds()).toEqual(['statement 1', 'result 1']);
  });

  it('what became of a request is written at once', () => {
    const { record, kinds } = start();
    const n = record.statement(subject('DELETE FROM x'), 'hold') ?? 0;
    record.approval(n, aRequest());
    expect(kinds()).toEqual(['statement 1', 'approval 1']);
  });
});

describe('while the disk is full', () => {
  it('no statement gets a number; results of what ran are kept, without their rows, and follow when there is space', () => {
    const { disk, record, kinds, events } = start();
    record.statement(subject('SELECT 1'), 'allow');
    record.result(ran(1));
    disk.full = true;
    expect(record.flush()).toBe(false);
    expect(record.statement(subject('SELECT 2'), 'allow')).toBeNull();
    expect(record.statement(subject('SELECT 3'), 'allow')).toBeNull();
    expect(kinds()).toEqual(['statement 1']);
    disk.full = false;
    expect(record.statement(subject('SELECT 4'), 'allow')).toBe(4);
    expect(kinds()).toEqual(['statement 1', 'notice 4', 'result 1', 'statement 4']);
    expect(events[2]).toMatchObject({ text: expect.stringContaining(' 2 ') });
    expect(events[3]).toMatchObject({ rows: 1, values: [], truncated: true });
    record.statement(subject('SELECT 5'), 'allow');
    expect(kinds().at(-1)).toBe('statement 5');
  });

  it('what is kept is bounded', () => {
    const { disk, record, kinds } = start();
    disk.full = true;
    for (let n = 1; n <= 3000; n++) record.result(ran(n));
    disk.full = false;
    record.flush();
    expect(kinds()).toHaveLength(1001);
  });
});

it('a recording that is lost for good ends the session, which gets a new one with its next connection', () => {
  const { disk, record, lost } = start();
  record.statement(subject('SELECT 1'), 'allow');
  expect(lost()).toBe(0);
  disk.gone = true;
  expect(record.statement(subject('SELECT 2'), 'allow')).toBeNull();
  expect(lost()).toBe(1);
});

it('the version of the policy stands before the first statement that it judged', () => {
  const { disk, record, events } = start();
  const said = (): string[] =>
    events.map((event) =>
      event.kind === 'policy' ? event.version : event.kind === 'statement' ? event.sql : '',
    );
  record.statement(subject('a'), 'allow');
  record.statement(subject('b'), 'allow');
  disk.full = true;
  record.statement(subject('c', '2'), 'allow');
  disk.full = false;
  record.statement(subject('d', '2'), 'allow');
  record.statement(subject('e', '1'), 'allow');
  expect(said().filter((text) => text !== '')).toEqual(['1', 'a', 'b', '2', 'd', '1', 'e']);
});
