/** Requests: the pending page with its cards, and one request in full. */
import { html } from 'hono/html';
import {
  alertNote,
  burstTitle,
  cautions,
  decidedBy,
  hides,
  isSuspendable,
  suspendSentence,
  waiterWords,
} from '../../approvals/about.ts';
import { rowsOf } from '../../approvals/impact.ts';
import type { ApprovalRequest, Decision } from '../../approvals/types.ts';
import {
  clientSays,
  confirmSentence,
  DENY_REASONS,
  impactLines,
  isCountable,
  progress,
  SURFACES,
  stateSentence,
  who,
} from '../../approvals/words.ts';
import { MAX_REASON } from '../deciding.ts';
import type { Caller } from '../guard.ts';
import { owns } from '../scope.ts';
import type { Burst } from '../types.ts';
import { ago, moment, size, span, stateBadge, what, work } from './format.ts';
import { bare, type Html, plain, value as shownValue, sqlBlock } from './sql.ts';

const chips = (items: readonly string[], kind = ''): Html[] =>
  items.map((item) => html`<span class="chip ${kind}">${plain(item)}</span>`);

const row = (label: string, value: Html | string): Html =>
  html`<div><dt>${label}</dt><dd>${value}</dd></div>`;

/** A form's first submit button is what Enter in a field presses: a decision is never made that way. */
const NO_DEFAULT = html`<button type="submit" disabled hidden></button>`;

/** One's own: another approver decides it; the owner says why, or takes it back. */
function ownForm(request: ApprovalRequest, csrf: string): Html {
  if (request.state === 'granted')
    return html`<form class="decide own" method="post" action="/requests/${request.id}/withdraw">
      <input type="hidden" name="csrf" value="${csrf}">
      ${NO_DEFAULT}
      <p class="note own-note">This is your own request. Withdrawn, it does not run when it is sent again.</p>
      <input type="text" name="reason" maxlength="${MAX_REASON}" autocomplete="off" aria-label="Why you take back ${request.id}"
        placeholder="Why (optional)">
      <div class="buttons"><button class="deny" type="submit">Withdraw</button></div>
    </form>`;
  return html`<form class="decide own" method="post" action="/requests/${request.id}/reason">
    <input type="hidden" name="csrf" value="${csrf}">
    <p class="note own-note">This is your own request; another approver has to decide it.</p>
    <input type="text" name="reason" maxlength="${MAX_REASON}" autocomplete="off" aria-label="Why you ask for ${request.id}"
      placeholder="${request.terms.reasonRequired ? 'Why you ask (required)' : 'Why you ask'}">
    <div class="buttons">
      <button class="quiet" type="submit">Save reason</button>
      <button class="deny" type="submit" formaction="/requests/${request.id}/withdraw">Withdraw</button>
    </div>
  </form>`;
}

/** Approve and Deny as a plain form: it works without the script. Deny offers what Slack's menu does. */
function decisionForm(request: ApprovalRequest, { person, csrf }: Caller, long = false): Html {
  if (owns(person, request.requester.ownerId)) return ownForm(request, csrf);
  if (!person.roles.has('approver')) return html`<p class="dim small">It waits for an approver.</p>`;
  if (request.decisions.some((decision) => decision.approverId === person.id))
    return html`<p class="note">You have decided; another approver is needed.</p>`;
  const quick = DENY_REASONS.filter(({ reason }) => reason !== null);
  return html`<form class="decide" method="post" action="/requests/${request.id}/decision">
    <input type="hidden" name="csrf" value="${csrf}">
    ${NO_DEFAULT}
    <input type="text" name="reason" maxlength="${MAX_REASON}" autocomplete="off" aria-label="Reason for ${request.id}"
      placeholder="Reason (optional, the agent reads it)">
    <div class="buttons">
      <details class="menu"><summary class="button deny menu-head">Deny…</summary>
        <div class="menu-list" role="group" aria-label="Deny ${request.id}: why">
          ${quick.map(({ code, label }) => html`<button class="menu-item" type="submit" name="deny" value="${code}">${label}</button>`)}
          <button class="menu-item" type="submit" name="deny" value="other">Other: my own words</button>
        </div></details>
      ${isCountable(request) ? html`<button class="quiet" type="submit" formaction="/requests/${request.id}/count">Count now</button>` : ''}
      ${hides(request) ? html`<button class="quiet" type="submit" formaction="/requests/${request.id}/reveal">Show hidden values</button>` : ''}
      ${
        long
          ? html`<a class="button approve" href="/requests/${request.id}">Read all of it</a>`
          : html`<button class="approve" type="submit" name="effect" value="approve">Approve</button>`
      }
    </div>
  </form>`;
}

/** To one approver whom policy lets look; the address of the page is the request's again when it is reloaded. */
export function revealedPage(request: ApprovalRequest, statement: ApprovalRequest['statement']): Html {
  return html`<p class="crumb"><a href="/">Requests</a> / <a class="id" href="/requests/${request.id}">${request.id}</a></p>
    <div class="head"><h1>What ${request.id} hides</h1></div>
    <p class="note">Personal data, for you alone: it is recorded that you were shown it. Do not copy it into a reason or a message.</p>
    <div class="whole">${sqlBlock(statement.sql)}
    ${binds({ ...request, statement })}</div>
    <p><a class="button quiet" href="/requests/${request.id}">Back to ${request.id}</a></p>`;
}

/** In the list it would be approved with its end unseen: there it is only read on. */
function isLong({ sql, binds }: ApprovalRequest['statement']): boolean {
  const values = binds.reduce((sum, value) => sum + (value ?? 'NULL').length + 4, 0);
  return sql.length > 2000 || sql.split('\n').length > 25 || values > 800;
}

/** What it would do, in the words of the card and the command line. */
function effect(request: ApprovalRequest, now: number): Html | string {
  const lines = impactLines(request, now);
  if (lines.length === 0) return '';
  return html`<ul class="effect ${rowsOf(request) === null ? '' : 'rows'}" aria-label="Effect">${lines.map((line) => html`<li>${plain(line)}</li>`)}</ul>`;
}

/** Asked once more, with the whole SQL: DDL, or no WHERE. */
export function confirmPage(
  request: ApprovalRequest,
  { csrf }: Caller,
  reason: string | null,
  now: number,
): Html {
  return html`<p class="crumb"><a href="/">Requests</a> / <a class="id" href="/requests/${request.id}">${request.id}</a></p>
    <div class="head"><h1>Approve ${request.id}?</h1></div>
    <p class="lead">${plain(confirmSentence(request))}</p>
    <div class="whole">${sqlBlock(request.statement.sql)}
    ${binds(request)}</div>
    ${effect(request, now)}
    <form class="confirm" method="post" action="/requests/${request.id}/decision">
      <input type="hidden" name="csrf" value="${csrf}"><input type="hidden" name="confirmed" value="${request.id}">
      <input type="hidden" name="reason" value="${bare(reason ?? '')}">
      <a class="button quiet" href="/requests/${request.id}">Go back</a>
      <button class="approve" type="submit" name="effect" value="approve">Approve</button>
    </form>`;
}

function warnings(request: ApprovalRequest): Html[] {
  const { taggedColumns } = request.statement;
  const chip = (kind: string, words: string): Html => html`<span class="chip ${kind}">${plain(words)}</span>`;
  return [
    ...cautions(request).map(({ words, grave }) => chip(grave ? 'bad' : 'warn', words)),
    ...(taggedColumns.length > 0 ? [chip('pii', `Personal data: ${taggedColumns.join(', ')}`)] : []),
  ];
}

const targetOf = ({ target }: ApprovalRequest): Html =>
  html`<strong>${plain(target.name)}</strong> <span class="env ${target.environment === 'production' ? 'prod' : ''}">${plain(target.environment)}</span>`;

function said(request: ApprovalRequest): Html | string {
  const words = clientSays(request);
  return words === null ? '' : html`<p class="says"><span>The client says</span> ${plain(words)}</p>`;
}

function waiting(request: ApprovalRequest, now: number): Html {
  const { expiresAt, decisions } = request;
  const approved = decisions.filter(({ effect }) => effect === 'approve');
  const owed = progress(request);
  const made =
    owed !== null
      ? html` · <strong>${plain(owed)}</strong>${approved.map(
          ({ approverName }, i) => html`${i === 0 ? ': ' : ', '}${plain(approverName)}`,
        )}`
      : '';
  return html`${waiterWords(request)} · expires in <time data-until="${expiresAt}" datetime="${new Date(expiresAt).toISOString()}">${span(expiresAt - now)}</time>${made}`;
}

function binds(request: ApprovalRequest): Html | string {
  const values = request.statement.binds;
  if (values.length === 0) return '';
  return html`<ol class="binds" aria-label="Bind values">${values.map(
    (value, i) => html`<li><b>$${i + 1}</b> ${value === null ? html`<i>NULL</i>` : shownValue(value)}</li>`,
  )}</ol>`;
}

function card(request: ApprovalRequest, caller: Caller, now: number): Html {
  const { statement } = request;
  return html`<article class="card" id="${request.id}">
    <header>
      <h2><a href="/requests/${request.id}">${plain(what(request))}</a></h2>
      <span class="id">${request.id}</span>
    </header>
    <p class="who">${plain(who(request))} <span class="dim">on</span> ${targetOf(request)}
      <span class="dim">· ${ago(request.createdAt, now)}</span></p>
    ${sqlBlock(statement.sql, `SQL of ${request.id}`)}
    ${binds(request)}
    ${effect(request, now)}
    ${said(request)}
    <p class="chips">${warnings(request)} ${chips(request.rules, 'rule')}</p>
    <p class="why">${plain(request.reason)}</p>
    <footer>
      <p class="dim small">${waiting(request, now)}</p>
      ${decisionForm(request, caller, isLong(statement))}
    </footer>
  </article>`;
}

function settledRow(request: ApprovalRequest, now: number): Html {
  const last = request.decisions.at(-1);
  return html`<tr>
    <td><a class="id" href="/requests/${request.id}">${request.id}</a></td>
    <td>${stateBadge(request)}</td>
    <td class="grow">${plain(what(request))}</td>
    <td>${plain(who(request))}</td>
    <td>${last === undefined ? html`<span class="dim">–</span>` : plain(last.approverName)}</td>
    <td class="dim">${ago(request.endedAt ?? last?.at ?? request.createdAt, now)}</td>
  </tr>`;
}

/** Below what waits (it must not move Approve from under the finger): who keeps sending destructive statements, and the way to stop it. */
function burst(alert: Burst, { csrf }: Caller, now: number): Html {
  return html`<article class="card alert" id="${alert.id}">
    <header><h2>${plain(burstTitle(alert))}</h2><span class="dim small">${ago(alert.at, now)}</span></header>
    <ul class="effect" aria-label="The latest of them">${alert.lines.map((line) => html`<li>${plain(line)}</li>`)}</ul>
    ${isSuspendable(alert) ? html`<p class="why">${suspendSentence(alert)}</p>` : ''}
    <footer><p class="dim small">${alertNote(alert)}</p>
      ${
        isSuspendable(alert)
          ? html`<form class="decide" method="post" action="/alerts/${alert.id}/suspend"><input type="hidden" name="csrf" value="${csrf}">
        <div class="buttons"><button class="deny" type="submit">Suspend</button></div></form>`
          : ''
      }</footer>
  </article>`;
}

export function pendingPage(
  {
    pending,
    recent,
    bursts,
  }: {
    readonly pending: readonly ApprovalRequest[];
    readonly recent: readonly ApprovalRequest[];
    readonly bursts: readonly Burst[];
  },
  caller: Caller,
  now: number,
): Html {
  const list =
    pending.length === 0
      ? html`<div class="empty"><img src="/assets/mark.svg" width="44" height="44" alt="">
          <h2>Nothing is waiting</h2><p class="dim">A held statement appears here the moment it arrives.</p></div>`
      : pending.map((request) => card(request, caller, now));
  const alerts =
    bursts.length === 0
      ? ''
      : html`<section><h2 class="section">Alerts</h2><div class="cards">${bursts.map((one) => burst(one, caller, now))}</div></section>`;
  const past =
    recent.length === 0
      ? ''
      : html`<section><h2 class="section">Recent</h2><div class="scroll"><table class="list">
          <thead><tr><th>Request</th><th>State</th><th>Statement</th><th>Who</th><th>Decided by</th><th>When</th></tr></thead>
          <tbody>${recent.map((request) => settledRow(request, now))}</tbody></table></div></section>`;
  return html`<h1>${pending.length === 0 ? 'Requests' : `${pending.length} waiting for a decision`}</h1>
    <div class="cards">${list}</div>${alerts}${past}`;
}

const decisionRow = (decision: Decision, now: number): Html =>
  html`<li><span class="badge ${decision.effect === 'approve' ? 'good' : 'bad'}">${
    decision.effect === 'approve' ? 'approved' : 'denied'
  }</span> <strong>${plain(decision.approverName)}</strong> <span class="dim">${SURFACES[decision.surface]}, ${moment(decision.at, now)}</span>
    ${decision.reason === null ? '' : html`<q>${plain(decision.reason)}</q>`}</li>`;

function outcome(request: ApprovalRequest): Html | string {
  const end = request.outcome;
  if (end === null) return '';
  const parts = [
    ...work(end),
    end.code === null ? '' : `SQLSTATE ${end.code}`,
    end.transactionOpen ? 'the transaction is still open' : '',
  ];
  return row('Outcome', plain(parts.filter((part) => part !== '').join(' · ')));
}

export function requestPage(request: ApprovalRequest, caller: Caller, openable: boolean, now: number): Html {
  const { statement, requester, target } = request;
  const facts = [
    row(
      'Who',
      html`${plain(who(request))}${requester.ownerEmail === null ? '' : html` <span class="dim">${plain(requester.ownerEmail)}</span>`}`,
    ),
    row('Credential', html`<code>${plain(requester.credentialId)}</code>`),
    row(
      'Target',
      html`${targetOf(request)} <span class="dim">database</span> ${plain(target.database)} <span class="dim">as</span> ${plain(target.role)}`,
    ),
    row(
      'Statement',
      html`${plain(statement.verb)} <span class="dim">class ${statement.class} · ${size(statement.bytes)}</span>`,
    ),
    ...(statement.relations.length > 0
      ? [row('Touches', html`<span class="chips">${chips(statement.relations)}</span>`)]
      : []),
    ...(statement.taggedColumns.length > 0
      ? [row('Personal data', html`<span class="chips">${chips(statement.taggedColumns, 'pii')}</span>`)]
      : []),
    row('Held by', html`<span class="chips">${chips(request.rules, 'rule')}</span>`),
    row('Why', plain(request.reason)),
    row(request.state === 'pending' ? 'May decide' : 'Could decide', plain(decidedBy(request, now))),
    row('Asked', moment(request.createdAt, now)),
    ...(request.state === 'pending' || request.state === 'expired'
      ? [row(request.state === 'pending' ? 'Expires' : 'Expired', moment(request.expiresAt, now))]
      : []),
    ...(request.grantExpiresAt === null || request.state !== 'granted'
      ? []
      : [row('Grant until', moment(request.grantExpiresAt, now))]),
    outcome(request),
    ...(request.note === null ? [] : [row('Note', plain(request.note))]),
    row(
      'Session',
      openable
        ? html`<a href="/sessions/${request.sessionId}"><code>${request.sessionId}</code></a>`
        : html`<code>${request.sessionId}</code>`,
    ),
    row('SHA-256', html`<code class="hash">${statement.sha256}</code>`),
  ];
  return html`<p class="crumb"><a href="/">Requests</a> / <span class="id">${request.id}</span></p>
    <div class="head"><h1>${plain(what(request))}</h1>${stateBadge(request)}</div>
    <p class="who">${plain(who(request))} <span class="dim">on</span> ${targetOf(request)}
      <span class="dim">· ${ago(request.createdAt, now)}</span></p>
    <p class="lead">${plain(stateSentence(request, now))}</p>
    <p class="chips">${warnings(request)}</p>
    <div class="whole">${sqlBlock(statement.sql)}
    ${binds(request)}</div>
    ${effect(request, now)}
    ${said(request)}
    ${
      statement.tidied === null || statement.tidied === statement.sql
        ? ''
        : html`<details><summary>The same, tidied</summary>${sqlBlock(statement.tidied, 'Tidied SQL')}</details>`
    }
    ${request.state === 'pending' ? html`<p class="dim small">${waiting(request, now)}</p><div class="panel action">${decisionForm(request, caller)}</div>` : ''}
    ${request.state === 'granted' && owns(caller.person, request.requester.ownerId) ? html`<div class="panel action">${ownForm(request, caller.csrf)}</div>` : ''}
    ${
      request.decisions.length === 0
        ? ''
        : html`<h2 class="section">Decisions</h2><ul class="decisions">${request.decisions.map((d) => decisionRow(d, now))}</ul>`
    }
    <h2 class="section">Details</h2>
    <dl class="panel facts">${facts}</dl>`;
}
