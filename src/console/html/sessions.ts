/** Sessions: the list, and one session as a timeline of statements with what came back. */

import { html } from 'hono/html';
import { placeOf } from '../../approvals/words.ts';
import type { RecordedEvent, SessionSummary, VerifyResult } from '../../recordings/types.ts';
import { count, moment, span, work } from './format.ts';
import { bare, type Html, plain, sqlBlock } from './sql.ts';

/** Statements a page. */
export const PAGE = 100;

type Of<K extends RecordedEvent['kind']> = Extract<RecordedEvent, { readonly kind: K }>;
interface Step {
  readonly statement: Of<'statement'>;
  readonly approvals: Of<'approval'>[];
  readonly results: Of<'result'>[];
  readonly notices: Of<'notice'>[];
}

export const whoOf = (session: SessionSummary): string => {
  const owner = session.ownerName ?? session.ownerEmail ?? session.ownerId;
  if (session.agent === null) return owner ?? session.subject;
  return owner === null ? session.agent : `${session.agent} for ${owner}`;
};

function tallies(session: SessionSummary): Html {
  return html`${session.held > 0 ? html`<span class="badge wait">${session.held} held</span> ` : ''}${
    session.denied > 0 ? html`<span class="badge bad">${session.denied} denied</span> ` : ''
  }${session.errors > 0 ? html`<span class="badge dim">${count(session.errors, 'error')}</span>` : ''}`;
}

export function sessionsPage(
  list: readonly SessionSummary[],
  filter: { readonly owner: string; readonly since: string },
  now: number,
): Html {
  const choices = [
    ['', 'any time'],
    ['1d', 'last day'],
    ['7d', 'last 7 days'],
    ['30d', 'last 30 days'],
  ] as const;
  const rows = list.map(
    (session) => html`<tr>
      <td><a href="/sessions/${session.id}">${moment(session.startedAt, now)}</a></td>
      <td class="grow">${plain(whoOf(session))}</td>
      <td>${plain(session.target)}</td>
      <td class="num" data-label="${session.statements === 1 ? 'statement' : 'statements'}">${session.statements.toLocaleString('en')}</td>
      <td class="num" data-label="${session.rows === 1 ? 'row' : 'rows'}">${session.rows.toLocaleString('en')}</td>
      <td>${tallies(session)}</td>
      <td class="dim">${session.endedAt === null ? html`<span class="badge good">open</span>` : span(session.endedAt - session.startedAt)}</td>
    </tr>`,
  );
  return html`<div class="head"><h1>Sessions</h1>
      <form class="filter" method="get" action="/sessions">
        <input type="search" name="owner" value="${filter.owner}" placeholder="Name or e-mail" aria-label="Owner">
        <select name="since" aria-label="Since">${choices.map(
          ([value, label]) =>
            html`<option value="${value}" ${filter.since === value ? html`selected` : ''}>${label}</option>`,
        )}</select>
        <button class="quiet" type="submit">Search</button>
      </form></div>
    ${
      list.length === 0
        ? html`<div class="empty"><h2>No sessions</h2><p class="dim">Each connection through the gateway is listed here.</p></div>`
        : html`<div class="scroll"><table class="list">
            <thead><tr><th>Started</th><th>Who</th><th>Target</th><th class="num">Statements</th><th class="num">Rows</th><th></th><th>Length</th></tr></thead>
            <tbody>${rows}</tbody></table></div>`
    }`;
}

const EFFECT = {
  allow: ['good', 'allowed'],
  hold: ['wait', 'held'],
  deny: ['bad', 'denied'],
  probe: ['dim', 'probed'],
} as const;

/** A driver that never asks for the result's layout leaves its columns without names. */
const columnsOf = ({ columns, values }: Of<'result'>): readonly string[] =>
  columns.length > 0 ? columns : (values[0] ?? []).map((_, i) => `(column ${i + 1})`);

function resultOf(result: Of<'result'>): Html {
  const summary = work(result);
  const error =
    result.error === null
      ? ''
      : html`<p class="fault"><code>${plain(result.error.code)}</code> ${plain(result.error.message)}</p>`;
  const hidden =
    result.withheld && result.rows
      ? 'The rows are not kept: a column holds personal data.'
      : result.truncated
        ? `The first ${count(result.values.length, 'row')} of the result ${result.values.length === 1 ? 'is' : 'are'} kept.`
        : '';
  const table =
    result.values.length === 0
      ? ''
      : html`<div class="scroll"><table class="data">
          <thead><tr>${columnsOf(result).map((column) => html`<th>${plain(column)}</th>`)}</tr></thead>
          <tbody>${result.values.map(
            (values) =>
              html`<tr>${values.map((value) => html`<td>${value === null ? html`<i>NULL</i>` : plain(value)}</td>`)}</tr>`,
          )}</tbody></table></div>`;
  return html`${summary.length === 0 ? '' : html`<p class="sum">${plain(summary.join(' · '))}</p>`}${error}${table}${hidden === '' ? '' : html`<p class="dim small">${hidden}</p>`}`;
}

function stepOf({ statement, approvals, results, notices }: Step, now: number): Html {
  const [tone, label] = EFFECT[statement.effect];
  // Pending is no failure.
  const failed = results.some((result) => result.error !== null && result.error.code !== 'HP001');
  return html`<li class="step ${failed ? 'failed' : tone}" id="s${statement.n}">
    <header><a class="id" href="#s${statement.n}">${statement.n}</a> <span class="badge ${tone}">${label}</span>
      <span class="dim">${statement.class}</span>
      ${statement.rules.map((rule) => html`<span class="chip rule">${plain(rule)}</span>`)}
      ${statement.observed === undefined ? '' : html`<span class="chip">would ${statement.observed.effect}: ${plain(statement.observed.rules.join(', '))}</span>`}
      ${statement.taggedColumns.length > 0 ? html`<span class="chip pii">${plain(statement.taggedColumns.join(', '))}</span>` : ''}
      <span class="when dim">${moment(statement.t, now)}</span></header>
    ${sqlBlock(statement.sql, `Statement ${statement.n}`)}
    ${
      statement.binds.length === 0
        ? ''
        : html`<ol class="binds">${statement.binds.map(
            (value, i) =>
              html`<li><b>$${i + 1}</b> ${value === null ? html`<i>NULL</i>` : plain(value)}</li>`,
          )}</ol>`
    }
    ${approvals.map(
      (approval) =>
        html`<p class="approval"><a class="id" href="/requests/${approval.request}">${approval.request}</a> ${plain(STATES[approval.state] ?? approval.state)}${
          approval.by === null ? '' : html` by <strong>${plain(approval.by)}</strong>`
        }${approval.surface === null ? '' : html` <span class="dim">${plain(placeOf(approval.surface))}</span>`}${
          approval.note === null ? '' : html` <q>${plain(approval.note)}</q>`
        }</p>`,
    )}
    ${results.map(resultOf)}
    ${notices.map((notice) => html`<p class="dim small">Notice: ${plain(notice.text)}</p>`)}
    ${statement.effect === 'deny' ? html`<p class="why">${plain(statement.reason)}</p>` : ''}
  </li>`;
}

/** An approval is told as one, whichever way it was used. */
const STATES: Readonly<Record<string, string>> = { granted: 'approved', executing: 'approved' };

/** Statements with what belongs to them, in order. */
export function stepsOf(events: readonly RecordedEvent[]): readonly Step[] {
  const steps = new Map<number, Step>();
  for (const event of events) {
    if (event.kind === 'statement') {
      steps.set(event.n, { statement: event, approvals: [], results: [], notices: [] });
    } else if (event.kind === 'approval') steps.get(event.n)?.approvals.push(event);
    else if (event.kind === 'result') steps.get(event.n)?.results.push(event);
    else if (event.kind === 'notice') steps.get(event.n)?.notices.push(event);
  }
  return [...steps.values()];
}

function proof(result: VerifyResult | null): Html {
  if (result === null) return html`<span class="badge dim">not verified</span>`;
  return result.kind === 'intact'
    ? html`<span class="badge good" title="${result.events} events chained, ${result.signed} of them covered by a signature">record intact</span>`
    : html`<span class="badge bad" title="${bare(result.why)}">record broken at event ${result.at}</span>`;
}

export function sessionPage(
  session: SessionSummary,
  events: readonly RecordedEvent[],
  verified: VerifyResult | null,
  page: number,
  now: number,
): Html {
  const steps = stepsOf(events);
  const policies = events.flatMap((event) => (event.kind === 'policy' ? [event.version.slice(0, 12)] : []));
  const access = events.findLast((event) => event.kind === 'access');
  const pages = Math.max(1, Math.ceil(steps.length / PAGE));
  const here = Math.min(Math.max(1, page), pages);
  const shown = steps.slice((here - 1) * PAGE, here * PAGE);
  const pager =
    pages === 1
      ? ''
      : html`<p class="pager">${here > 1 ? html`<a href="?page=${here - 1}">← Earlier</a>` : ''} <span class="dim">page ${here} of ${pages}</span> ${
          here < pages ? html`<a href="?page=${here + 1}">Later →</a>` : ''
        }</p>`;
  const fact = (label: string, value: Html | string): Html =>
    html`<div><dt>${label}</dt><dd>${value}</dd></div>`;
  return html`<p class="crumb"><a href="/sessions">Sessions</a> / <code>${session.id}</code></p>
    <div class="head"><h1>${plain(whoOf(session))} <span class="dim">on</span> ${plain(session.target)}</h1>${proof(verified)}</div>
    <dl class="panel facts tight">
      ${fact('Started', moment(session.startedAt, now))}
      ${fact('Length', session.endedAt === null ? html`<span class="badge good">open</span>` : span(session.endedAt - session.startedAt))}
      ${fact('Owner', plain(session.ownerEmail ?? session.ownerId ?? 'unknown'))}
      ${fact('Credential', html`<code>${plain(session.credentialId)}</code>`)}
      ${fact('Database', html`${plain(session.database)} <span class="dim">as ${plain(session.role)}, ${plain(session.environment)}</span>`)}
      ${fact('From', html`${plain(session.clientAddress)} <span class="dim">${plain(session.applicationName ?? '')}</span>`)}
      ${fact('Statements', html`${session.statements.toLocaleString('en')} ${tallies(session)}`)}
      ${policies.length === 0 ? '' : fact('Policy', html`<code>${plain(policies.join(' → '))}</code>`)}
      ${access === undefined ? '' : fact('Access', html`${access.standing}${access.by === null ? '' : html` by ${plain(access.by)}`}, ${moment(access.t, now)}`)}
      ${fact('Ended', session.endedWhy === null ? '–' : plain(session.endedWhy))}
    </dl>
    ${pager}
    ${
      steps.length === 0
        ? html`<div class="empty"><h2>No statements yet</h2></div>`
        : html`<ol class="steps">${shown.map((step) => stepOf(step, now))}</ol>`
    }
    ${pager}`;
}
