/** Who is logged in and who is suspended. */
import { html } from 'hono/html';
import type { ActiveAccess } from '../../identity/access.ts';
import type { FailedCount, FailedLoginSummary } from '../../identity/failed-logins.ts';
import type { Suspension } from '../../identity/types.ts';
import type { Caller } from '../guard.ts';
import { ago, span } from './format.ts';
import { bare, type Html, plain } from './sql.ts';

export interface PeopleView {
  readonly active: readonly ActiveAccess[];
  readonly suspended: readonly Suspension[];
  /** Of the last day. */
  readonly failed: FailedLoginSummary;
}

const THROUGH = {
  session: { link: 'browser, one-time link', login: 'browser, login' },
  token: { link: 'command line, one-time link', login: 'command line, login' },
} as const;

function button(caller: Caller, verb: string, label: string, person: string): Html {
  return html`<form class="act-form" method="post" action="/people/${verb}"><input type="hidden" name="csrf" value="${caller.csrf}"><input
      type="hidden" name="person" value="${bare(person)}"><button class="quiet" type="submit" aria-label="${label} ${bare(person)}">${label}</button></form>`;
}

export function peoplePage({ active, suspended, failed }: PeopleView, caller: Caller, now: number): Html {
  const empty = html`<p class="dim">Nobody.</p>`;
  return html`<div class="head"><h1>People</h1></div>
    <h2 class="section">Logged in</h2>
    ${
      active.length === 0
        ? empty
        : html`<div class="scroll"><table class="list">
            <thead><tr><th>Who</th><th>Through</th><th>Since</th><th>Ends in</th><th></th></tr></thead>
            <tbody>${active.map(
              (
                one,
              ) => html`<tr><td class="grow">${plain(one.name)}${one.name === one.personId ? '' : html` <span class="dim">${plain(one.personId)}</span>`}</td>
                <td>${THROUGH[one.kind][one.via]}</td><td class="dim">${ago(one.createdAt, now)}</td>
                <td class="dim" data-label="left">${span(one.expiresAt - now)}</td>
                <td class="act">${button(caller, 'logout', 'Log out', one.personId)}</td></tr>`,
            )}</tbody></table></div>`
    }
    <h2 class="section">Suspended</h2>
    ${
      suspended.length === 0
        ? empty
        : html`<div class="scroll"><table class="list">
            <thead><tr><th>Who</th><th>By</th><th>When</th><th></th></tr></thead>
            <tbody>${suspended.map(
              (one) => html`<tr><td class="grow">${plain(one.personId)}</td><td>${plain(one.by)}</td>
                <td class="dim">${ago(one.at, now)}</td><td class="act">${button(caller, 'restore', 'Restore', one.personId)}</td></tr>`,
            )}</tbody></table></div>`
    }
    <form class="panel suspend" method="post" action="/people/suspend">
      <input type="hidden" name="csrf" value="${caller.csrf}">
      <label for="person">Suspend a person</label>
      <input id="person" type="text" name="person" maxlength="600" required autocomplete="off" placeholder="E-mail, or issuer|subject">
      <button class="deny" type="submit">Suspend</button>
      <p class="dim small">Their sessions end, what they asked for is withdrawn, grants are void, and they neither connect nor log in until
        restored.</p>
    </form>
    ${failures(failed, now)}`;
}

const SHOWN = 20;
function failures({ byAddress, byOwner, latest, total }: FailedLoginSummary, now: number): Html {
  const head = html`<h2 class="section">Failed logins, last 24 hours</h2>`;
  if (total === 0) return html`${head}<p class="dim">None.</p>`;
  const counts = (title: string, rows: readonly FailedCount[]) =>
    rows.length === 0
      ? ''
      : html`<div class="scroll"><table class="list"><thead><tr><th>${title}</th><th>Failed</th><th>Last</th></tr></thead>
          <tbody>${rows.map(
            (
              one,
            ) => html`<tr><td class="grow">${plain(one.key)}</td><td>${one.count.toLocaleString('en-US')}</td>
              <td class="dim">${ago(one.at, now)}</td></tr>`,
          )}</tbody></table></div>`;
  return html`${head}${counts('Owner', byOwner)}${counts('Address', byAddress)}
    <div class="scroll"><table class="list"><thead><tr><th>What was tried</th><th>From</th><th>Through</th><th>Why</th><th>When</th></tr></thead>
      <tbody>${latest.slice(0, SHOWN).map(
        (
          one,
        ) => html`<tr><td class="grow">${plain(one.claimed ?? '–')}${one.owner === null ? '' : html` <span class="dim">${plain(one.owner.name)}</span>`}</td>
          <td>${plain(one.address)}</td><td>${one.via}</td><td>${one.reason}${one.count > 1 ? ` × ${one.count}` : ''}</td>
          <td class="dim">${ago(one.at, now)}</td></tr>`,
      )}</tbody></table></div>`;
}
