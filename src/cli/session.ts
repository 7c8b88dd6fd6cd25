/** `holdpoint session ID`: what was sent and what came back, in order. */
import type { RecordedEvent, SessionSummary } from '../recordings/types.ts';
import { connect } from './client.ts';
import type { Cli } from './context.ts';
import { whoOf } from './sessions.ts';
import { clock, indented, oneLine, safe, table } from './text.ts';

const EFFECTS = { allow: 'allowed', hold: 'held', deny: 'denied', probe: 'probed' } as const;

export async function session(cli: Cli, id: string): Promise<void> {
  const answer = await connect(cli).get<{ session: SessionSummary; events: RecordedEvent[]; more: boolean }>(
    `/sessions/${encodeURIComponent(id)}`,
  );
  cli.out(`${answer.session.id}  ${safe(whoOf(answer.session))} on ${answer.session.target}`);
  for (const event of answer.events) {
    const text = eventText(event);
    if (text !== null) cli.out(text);
  }
  if (answer.more) cli.out('… more events than can be shown here.');
}

function eventText(event: RecordedEvent): string | null {
  switch (event.kind) {
    case 'session':
      return `${clock(event.t)}  started from ${safe(event.session.clientAddress)}`;
    case 'statement': {
      const rules = event.effect === 'allow' ? '' : ` (${event.rules.join(', ')})`;
      const binds = event.binds.map(
        (value, i) => `\n    $${i + 1} = ${value === null ? 'NULL' : safe(value)}`,
      );
      return `\n${event.n}. ${clock(event.t)}  ${EFFECTS[event.effect]}${safe(rules)}\n${indented(event.sql)}${binds.join('')}`;
    }
    case 'approval': {
      const by =
        event.by === null ? '' : ` by ${event.by}${event.surface === null ? '' : ` (${event.surface})`}`;
      return safe(`   ${event.request} ${event.state}${by}${event.note === null ? '' : `: ${event.note}`}`);
    }
    case 'result':
      return resultText(event);
    case 'notice':
      return `   notice: ${oneLine(event.text, 300)}`;
    case 'policy':
      return null;
    case 'end':
      return `\n${clock(event.t)}  ended: ${safe(event.why)}`;
  }
}

function resultText(event: Extract<RecordedEvent, { readonly kind: 'result' }>): string {
  const lines: string[] = [];
  if (event.values.length > 0) {
    lines.push(
      table(
        event.columns,
        event.values.map((row) => row.map((value) => value ?? 'NULL')),
      )
        .split('\n')
        .map((line) => `   ${line}`)
        .join('\n'),
    );
  }
  if (event.withheld) lines.push('   rows not kept: a column holds personal data');
  else if (event.truncated) lines.push('   more rows than are kept');
  if (event.error !== null) lines.push(`   ERROR ${event.error.code}: ${safe(event.error.message)}`);
  const summary = [
    event.tag ?? '',
    event.rows === null ? '' : `${event.rows} rows`,
    `${event.ms.toFixed(1)} ms`,
  ];
  lines.push(`   → ${summary.filter((part) => part !== '').join(', ')}`);
  return lines.join('\n');
}
