/** The frame around every page. No inline script or style: the content security policy allows none. */
import { html } from 'hono/html';
import type { Caller } from '../guard.ts';
import { mayOpen } from '../routes.ts';
import { bare, type Html, plain } from './sql.ts';

export type Tab = 'pending' | 'sessions' | 'policy' | 'people' | null;
const TABS = [
  ['pending', '/', 'Requests', 'GET /'],
  ['sessions', '/sessions', 'Sessions', 'GET /sessions'],
  ['policy', '/policy', 'Policy', 'GET /policy'],
  ['people', '/people', 'People', 'GET /people'],
] as const;

export interface Frame {
  readonly title: string;
  readonly tab: Tab;
  readonly caller: Caller | null;
  /** The script re-reads the page when a request changes. */
  readonly live?: boolean;
  /** Shown once, above the content. */
  readonly flash?: { readonly tone: 'good' | 'bad'; readonly text: string } | null;
}

export function layout(frame: Frame, body: Html): Html {
  const { caller, tab, flash } = frame;
  const nav = html`<nav aria-label="Main">
    ${TABS.filter(([, , , route]) => caller !== null && mayOpen(caller, route)).map(
      ([id, href, label]) =>
        html`<a href="${href}" ${tab === id ? html`aria-current="page"` : ''}>${label}</a>`,
    )}
  </nav>`;
  const user =
    caller === null
      ? ''
      : html`<form class="user" method="post" action="/logout">
          <input type="hidden" name="csrf" value="${caller.csrf}">
          <a class="me" href="/terminal" title="${[...caller.person.roles].join(', ')}">${plain(caller.person.name)}</a>
          <button class="quiet" type="submit">Log out</button>
        </form>`;
  return html`<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="color-scheme" content="light dark">
  <meta name="robots" content="noindex, nofollow">
  <title>${bare(frame.title)} · Holdpoint</title>
  <link rel="icon" href="/assets/mark.svg" type="image/svg+xml">
  <link rel="stylesheet" href="/assets/console.css">
  <script src="/assets/console.js" defer></script>
</head>
<body${frame.live === true ? html` data-live="1"` : ''}>
  <a class="skip" href="#main">Skip to content</a>
  <header class="top">
    <div class="bar">
      <a class="brand" href="/"><img src="/assets/mark.svg" width="22" height="22" alt=""><span>Holdpoint</span></a>
      ${caller === null ? '' : nav}
      ${caller === null ? '' : html`<span class="pulse" id="pulse" hidden>live</span>`}
      ${user}
    </div>
  </header>
  <main id="main">
    ${flash ? html`<p class="flash ${flash.tone}" role="status">${plain(flash.text)}</p>` : ''}
    ${body}
  </main>
</body>
</html>`;
}

export function loginPage(link: string): Html {
  return layout(
    { title: 'Sign in', tab: null, caller: null },
    html`<section class="gate">
      <h1>Sign in to Holdpoint</h1>
      <p>This link signs in one approver, once.</p>
      <form method="post" action="/login">
        <input type="hidden" name="link" value="${link}">
        <button class="approve wide" type="submit">Sign in</button>
      </form>
      <p class="dim small">It expires ten minutes after it was made.</p>
    </section>`,
  );
}

/** A page with one sentence and what to do next. */
export function noticePage(
  title: string,
  sentence: string,
  next: Html | string,
  caller: Caller | null,
): Html {
  return layout(
    { title, tab: null, caller },
    html`<section class="gate"><h1>${title}</h1><p>${sentence}</p><p class="dim">${next}</p></section>`,
  );
}

export function signInNeeded(byLogin: boolean, returnTo: string): Html {
  const link = html`Open the one-time link that <code>holdpoint start</code> printed in the terminal, or get one with
      <code>holdpoint link</code> where you are logged in.`;
  if (!byLogin) return noticePage('Sign in', 'Only people who are signed in see this console.', link, null);
  return layout(
    { title: 'Sign in', tab: null, caller: null },
    html`<section class="gate">
      <img src="/assets/mark.svg" width="44" height="44" alt="">
      <h1>Sign in to Holdpoint</h1>
      <p>See what waits for approval, and what was asked and answered.</p>
      <p class="go"><a class="button wide" href="/login?return=${encodeURIComponent(returnTo)}">Sign in with your organisation</a></p>
      <p class="dim small">No way in? ${link}</p>
    </section>`,
  );
}

/** Goes on from here at once: a navigation of our own, with which the browser sends our cookie. */
export function continuePage(path: string): Html {
  return html`<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta http-equiv="refresh" content="0; url=${path}">
  <meta name="color-scheme" content="light dark">
  <title>Holdpoint</title>
  <link rel="stylesheet" href="/assets/console.css">
</head>
<body><main><section class="gate"><p><a href="${path}">Continue</a></p></section></main></body>
</html>`;
}

/** A command line of one's own: `command` holds a one-time link, shown once. */
export function terminalPage(caller: Caller, command: string | null): Html {
  const roles = [...caller.person.roles].join(', ');
  return html`<div class="head"><h1>${plain(caller.person.name)}</h1></div>
    <p class="lead">${plain(caller.person.email ?? caller.person.id)} · ${roles}</p>
    <h2 class="section">Command line</h2>
    ${
      command === null
        ? html`<p>Everything here can be done in a terminal as well: <code>holdpoint pending</code>, <code>show</code>,
            <code>approve</code>, <code>deny</code>, <code>sessions</code>.</p>
          <form method="post" action="/terminal"><input type="hidden" name="csrf" value="${caller.csrf}">
            <button class="approve" type="submit">Make a login command</button></form>`
        : html`<p>Run this in your terminal within ten minutes. It works once, and is for nobody else.</p>
          <pre class="sql" tabindex="0"><code>${command}</code></pre>
          <p><button class="quiet" type="button" data-copy hidden>Copy</button></p>`
    }`;
}
