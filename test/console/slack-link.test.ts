/** Tying a Slack account to whoever is logged in at the console. */
import { expect, test } from 'vitest';
import { createSlackLinking } from '../../src/identity/slack-link.ts';
import { DANA, T0 } from './fakes.ts';
import { startConsole } from './harness.ts';

test('is confirmed by a form of the one who is logged in, and finished in Slack', async () => {
  const slackLinking = createSlackLinking(Buffer.alloc(32, 1), () => T0);
  const h = await startConsole({ slackLinking });
  try {
    const begun = slackLinking.begin({ teamId: 'T1', userId: 'UDANA', name: '<i>Dana</i>' });
    const path = `/slack/link/${begun}`;
    expect((await fetch(h.base + path)).status).toBe(401);
    const { cookie, csrf } = await h.signIn();
    const page = await (await fetch(h.base + path, { headers: { cookie } })).text();
    expect(page).toContain('&lt;i&gt;Dana&lt;/i&gt;');
    expect(page).not.toContain('/hoop link ey');
    expect((await h.form(path, { csrf: 'x' }, { cookie })).status).toBe(403);
    const done = await (await h.form(path, { csrf }, { cookie })).text();
    const [, confirmed = ''] = /\/hoop link ([\w.-]+)</.exec(done) ?? [];
    expect(slackLinking.finish(confirmed, 'T1', 'UDANA')).toEqual({ id: DANA.id, name: DANA.name });
    const stale = await fetch(`${h.base}/slack/link/x.y`, { headers: { cookie } });
    expect(await stale.text()).toContain('too old');
  } finally {
    await h.server.close();
  }
});
