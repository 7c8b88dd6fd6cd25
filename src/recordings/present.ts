/** A session as plain text, for `holdpoint session ID`. Everything recorded is somebody else's text: control characters are shown, not sent to the terminal. */
import type { RecordedEvent, SessionMeta, SessionSummary, VerifyResult } from './types.ts';

const ROWS_SHOWN = 20;
const CELL = 40;

export function presentSession(
  summary: SessionSummary | null,
  events: readonly RecordedEvent[],
  verified: VerifyResult | null = null,
): string {
  const first = events.find((event) => event.kind === 'session');
  const meta: SessionMeta | null = first?.session ?? summary;
  const lines: string[] = meta === null ? ['(the recording has no session line)'] : header(meta);
  const started = meta?.startedAt ?? events[0]?.t ?? 0;
  for (const event of events) lines.push(...presentEvent(event, started));
  if (!events.some((event) => event.kind === 'end')) {
    lines.push('', summary?.endedAt == null ? 'still open' : `ended: ${plain(summary.endedWhy ?? '')}`);
  }
  if (verified !== null) lines.push('', presentVerified(verified));
  return `${lines.join('\n')}\n`;
}

export function presentVerified(result: VerifyResult): string {
  if (result.kind === 'broken') return `record: BROKEN at line ${result.at}: ${plain(result.why)}`;
  const { events, signed, ended } = result;
  const part = result.from > 1 ? ` (only from line ${result.from} on)` : '';
  if (signed === events)
    return `record: intact${part}, ${events} events, all signed${ended ? '' : ', not ended'}`;
  return `record: intact${part}, ${events} events, the last ${events - signed} not signed yet`;
}

function header(meta: SessionMeta): string[] {
  const who = meta.ownerName ?? meta.subject;
  const mail = meta.ownerEmail === null ? '' : ` <${meta.ownerEmail}>`;
  const lines = [
    `session ${meta.id}`,
    `  who      ${meta.agent === null ? '' : `${meta.agent} for `}${who}${mail} (${meta.credentialId})`,
    `  target   ${meta.target} (${meta.environment}), database ${meta.database} as ${meta.role}`,
    `  started  ${time(meta.startedAt)} from ${meta.clientAddress}`,
  ];
  if (meta.applicationName !== null) lines.push(`  the client says it is: ${meta.applicationName}`);
  return lines.map((line) => plain(line));
}

function presentEvent(event: RecordedEvent, started: number): string[] {
  const at = `+${((event.t - started) / 1000).toFixed(3)}s`;
  switch (event.kind) {
    case 'session':
      return [];
    case 'statement': {
      const binds = event.binds.map((bind, i) => `$${i + 1} = ${bind === null ? 'NULL' : plain(bind)}`);
      const why = event.rules.length === 0 ? '' : ` (${event.rules.map(plain).join(', ')})`;
      return [
        '',
        `#${event.n} ${at} ${event.effect.toUpperCase()} ${event.class}${why}`,
        ...event.sql.split(/\r?\n/).map((line) => `    ${plain(line)}`),
        ...(binds.length === 0 ? [] : [`    ${binds.join(', ')}`]),
        ...(event.effect === 'allow' || event.reason === '' ? [] : [`  ${plain(event.reason)}`]),
      ];
    }
    case 'approval': {
      const by = event.by === null ? '' : ` by ${event.by}`;
      const where = event.surface === null ? '' : ` in ${event.surface}`;
      const note = event.note === null ? '' : `: ${event.note}`;
      return [`  ${at} ${plain(`${event.request} ${event.state}${by}${where}${note}`)}`];
    }
    case 'result':
      return presentResult(event, at);
    case 'notice':
      return [`  ${at} notice: ${plain(event.text)}`];
    case 'policy':
      return ['', `${at} policy ${plain(event.version)}: ${plain(event.note)}`];
    case 'end':
      return ['', `ended ${time(event.t)}: ${plain(event.why)}`];
  }
}

function presentResult(event: Extract<RecordedEvent, { kind: 'result' }>, at: string): string[] {
  const took = `${event.ms.toFixed(1)} ms`;
  if (event.error !== null)
    return [`  ${at} ERROR ${plain(event.error.code)} ${plain(event.error.message)} (${took})`];
  const rows = event.rows === null ? '' : `, ${event.rows} ${event.rows === 1 ? 'row' : 'rows'}`;
  const lines = [`  ${at} ${plain(event.tag ?? 'done')} (${took}${rows})`];
  const shown = event.values.slice(0, ROWS_SHOWN).map((row) => row.map((value) => cell(value)));
  if (shown.length > 0)
    lines.push(
      ...table(
        event.columns.map((name) => cell(name)),
        shown,
      ),
    );
  const hidden = event.values.length - shown.length;
  if (hidden > 0) lines.push(`    … ${hidden} more recorded`);
  if (event.withheld) lines.push('    rows withheld: tagged columns are involved');
  else if (event.truncated) lines.push('    (not all rows are recorded)');
  return lines;
}

function table(columns: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = columns.map((name, i) => Math.max(name.length, ...rows.map((row) => row[i]?.length ?? 0)));
  const line = (cells: readonly string[]) =>
    `    ${cells.map((text, i) => text.padEnd(widths[i] ?? 0)).join(' | ')}`.trimEnd();
  return [line(columns), `    ${widths.map((width) => '-'.repeat(width)).join('-+-')}`, ...rows.map(line)];
}

function cell(value: string | null): string {
  if (value === null) return 'NULL';
  const text = plain(value.slice(0, 4 * CELL));
  return text.length > CELL ? `${text.slice(0, CELL - 1)}…` : text;
}

function time(t: number): string {
  return new Date(t).toISOString().replace('T', ' ').replace('Z', ' UTC');
}

/** Threat: escape sequences and bidirectional overrides in SQL or data that rewrite what the reader of the record sees. */
function plain(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Co}\p{Cs}\u2028\u2029]/gu, (char) => {
    if (char === '\t') return '  ';
    return `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`;
  });
}
