/** The policy in force at a target: its version, its last change, its text. */
import { html } from 'hono/html';
import type { PolicyChange, PolicyView } from '../../policy/live.ts';
import { moment } from './format.ts';
import { type Html, plain } from './sql.ts';

const SURFACES = { console: 'the console', cli: 'the command line', api: 'the API' } as const;

export function policyPage(view: PolicyView, targets: readonly string[], now: number): Html {
  const { change, warnings } = view;
  const tabs =
    targets.length < 2
      ? ''
      : html`<p>${targets.map(
          (name) =>
            html`<a href="/policy?target=${encodeURIComponent(name)}" ${name === view.target ? html`aria-current="page"` : ''}>${plain(name)}</a> `,
        )}</p>`;
  return html`<div class="head"><h1>Policy</h1>
      <span class="badge dim">${plain(view.target)}</span>
      <span class="badge dim">version ${plain(view.version)}</span></div>
    ${tabs}
    <p class="dim">${
      view.path === null
        ? 'In force now. It comes with Holdpoint: this target has no policy file.'
        : 'In force now. It is changed in its file or with holdpoint policy set; a text with mistakes changes nothing.'
    }</p>
    ${
      warnings.length === 0
        ? ''
        : html`<ul>${warnings.map((one) => html`<li>Line ${one.line}: ${plain(one.message)}</li>`)}</ul>`
    }
    ${change === null ? '' : changed(change, now)}
    <h2>Text</h2>
    <pre class="sql" tabindex="0"><code>${plain(view.text)}</code></pre>`;
}

function changed(change: PolicyChange, now: number): Html {
  const by =
    change.author === null
      ? html`in its file`
      : html`by <strong>${plain(change.author)}</strong>${change.surface === null ? '' : ` through ${SURFACES[change.surface]}`}`;
  return html`<h2>Last change</h2>
    <p>${moment(change.at, now)} ${by}, from version <code>${plain(change.previous)}</code>${
      change.session === null ? '' : html` (<a href="/sessions/${change.session}">recording</a>)`
    }</p>
    <pre class="sql" tabindex="0"><code>${plain(change.diff === '' ? 'White space only.' : change.diff)}</code></pre>`;
}
