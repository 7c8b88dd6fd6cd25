/** `holdpoint session ID`: what was sent and what came back, in order. */
import { placeOf } from '../approvals/words.ts';
import type { RecordedEvent, SessionSummary } from '../recordings/types.ts';
import { connect } from './client.ts';
import type { Cli } from './context.ts';
import { whoOf } from './sessions.ts';
import { bind, clock, count, flat, indented, oneLine, safe, table } from './text.ts';

const EFFECTS = { allow: 'allowed', hold: 'held', deny: 'denied', probe: 'probed' } as const;

/** An approval is told as one, whichever way it was used. */
const STATES: Readonly<Record<string, string>> = { granted: 'approved', executing: 'approved' };

export async function session(cli: Cli, id: string): Promise<void> {
  const answer = await connect(cli).get<{ session: SessionSummary; events: RecordedEvent[]; more: boolean }>(
    `/sessions/${encodeURIComponent(id)}`,
  );
  cli.out(`${answer.session.id}  ${flat(whoOf(answer.session))} on ${flat(answer.session.target)}`);
  for (const event of answer.events) {
    cli.out(eventText(event));
  }
  for (const [rule, seen] of observedIn(answer.events)) {
    cli.out(`Observed, not enforced: ${safe(rule)} would have stopped ${count(seen, 'statement')}.`);
  }
  if (answer.more) cli.out('… more events than can be shown here.');
}

/** Rules that only observe, and how often each would have acted. */
function observedIn(events: readonly RecordedEvent[]): ReadonlyMap<string, number> {
  const seen = new Map<string, number>();
  for (const event of events) {
    if (event.kind !== 'statement') continue;
    for (const rule of event.observed?.rules ?? []) seen.set(rule, (seen.get(rule) ?? 0) + 1);
  }
  return seen;
}

function eventText(event: RecordedEvent): string {
  switch (event.kind) {
    case 'session':
      return `${clock(event.t)}  started from ${safe(event.session.clientAddress)}`;
    case 'statement': {
      const rules = event.effect === 'allow' ? '' : ` (${event.rules.join(', ')})`;
      const { observed } = event;
      const would =
        observed === undefined ? '' : `\n   would ${observed.effect}: ${safe(observed.rules.join(', '))}`;
      const binds = event.binds.map((value, i) => `\n    $${i + 1} = ${bind(value)}`);
      return `\n${event.n}. ${clock(event.t)}  ${EFFECTS[event.effect]}${safe(rules)}${would}\n${indented(event.sql)}${binds.join('')}`;
    }
    case 'approval': {
      const by =
        event.by === null
          ? ''
          : ` by ${event.by}${event.surface === null ? '' : ` ${placeOf(event.surface)}`}`;
      return safe(
        `   ${event.request} ${STATES[event.state] ?? event.state}${by}${event.note === null ? '' : `: ${event.note}`}`,
      );
    }
    case 'result':
      return resultText(event);
    case 'notice':
      return `   notice: ${oneLine(event.text, 300)}`;
    case 'policy':
      return `\n${clock(event.t)}  policy ${safe(event.version.slice(0, 12))}: ${safe(event.note)}`;
    case 'access': {
      const by = event.by === null ? '' : ` by ${safe(event.by)}`;
      return `\n${clock(event.t)}  access ${event.standing}${by}`;
    }
    case 'end':
      return `\n${clock(event.t)}  ended: ${safe(event.why)}`;
  }
}

function resultText(event: Extract<RecordedEvent, { readonly kind: 'result' }>): string {
  const { columns, values, error, tag, rows } = event;
  const lines: string[] = [];
  if (values.length > 0) {
    // A driver that never asks for the result's layout leaves its columns without names.
    const head = columns.length > 0 ? columns : (values[0] ?? []).map((_, i) => `(column ${i + 1})`);
    lines.push(
      indented(
        table(
          head,
          values.map((row) => row.map((value) => value ?? 'NULL')),
        ),
        '   ',
      ),
    );
  }
  if (event.withheld && rows !== null && rows > 0)
    lines.push('   rows not kept: a column holds personal data');
  else if (event.truncated) lines.push('   more rows than are kept');
  if (error !== null) lines.push(`   ERROR ${safe(error.code)}: ${flat(error.message)}`);
  const summary = [
    safe(tag ?? ''),
    // `SELECT 3` says it already.
    rows === null || (error !== null && rows === 0) || tag?.endsWith(` ${rows}`) === true
      ? ''
      : count(rows, 'row'),
    // A refusal took no time of the server's.
    event.ms > 0 ? `${Math.round(event.ms)} ms` : tag === null ? '' : 'under 1 ms',
  ].filter((part) => part !== '');
  if (summary.length > 0) lines.push(`   → ${summary.join(', ')}`);
  return lines.join('\n');
}
