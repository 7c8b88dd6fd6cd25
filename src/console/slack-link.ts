/** The console's half of tying a Slack account to whoever is logged in here (identity/slack-link.ts). */
import type { Context } from 'hono';
import { html } from 'hono/html';
import type { Caller, Env } from './guard.ts';
import { type Html, plain } from './html/sql.ts';
import type { Register } from './routes.ts';
import type { ConsoleOptions } from './types.ts';

export function registerSlackLink(
  on: Register,
  { slackLinking }: ConsoleOptions,
  callerOf: (c: Context<Env>) => Caller,
  show: (c: Context<Env>, body: Html) => Response | Promise<Response>,
): void {
  const stale = html`<section class="gate"><h1>Link your Slack account</h1>
    <p>This link is too old or not complete. Ask for a new one in Slack: <code>/hoop link</code></p></section>`;

  on('GET /slack/link/:token', (c) => {
    const account = slackLinking?.read(c.req.param('token') ?? '') ?? null;
    if (account === null) return show(c, stale);
    const { person, csrf } = callerOf(c);
    return show(
      c,
      html`<section class="gate"><h1>Link your Slack account</h1>
        <p>The Slack account <strong>${plain(account.name)}</strong> (<code>${account.userId}</code>) would act as
        <strong>${plain(person.name)}</strong> (${plain(person.id)}), and decide with your rights.</p>
        <p>Go on only if this is your account and you typed <code>/hoop link</code> yourself just now. If somebody sent you this link, close
        the page and tell an administrator.</p>
        <form method="post"><input type="hidden" name="csrf" value="${csrf}"><button class="approve" type="submit">It is mine</button></form></section>`,
    );
  });

  on('POST /slack/link/:token', (c) => {
    const { person } = callerOf(c);
    const confirmed = slackLinking?.confirm(c.req.param('token') ?? '', person) ?? null;
    if (confirmed === null) return show(c, stale);
    return show(
      c,
      html`<section class="gate"><h1>One step more, in Slack</h1>
        <p>Send this in Slack within ten minutes, from your own account. Give it to nobody else: whoever asks for it wants to decide as you.</p>
        <pre class="sql" tabindex="0"><code>/hoop link ${confirmed}</code></pre>
        <p><button class="quiet" type="button" data-copy hidden>Copy</button></p></section>`,
    );
  });
}
