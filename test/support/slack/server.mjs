/**
 * A strict stand-in for Slack, in a process of its own (SLACK.md "Standing in for Slack"). Started by ./index.ts, spoken to over IPC:
 * `{ id, op, args }` is answered by `{ id, result }` or `{ id, error }`; `{ changed: true }` follows whatever happened.
 */
import { createHmac, randomBytes, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { checkMessage, checkView } from './limits.mjs';
import { accept } from './websocket.mjs';

const config = JSON.parse(process.argv[2] ?? '{}');
const TEAM = config.team ?? 'T0HOLD0001';
const BOT_USER = 'U0BOT00001';
const state = {
  users: new Map(),
  groups: new Map(),
  channels: new Map([
    ['#db', 'C0DB000001'],
    ['#security', 'C0SEC00001'],
  ]),
  messages: [],
  ephemerals: [],
  views: [],
  files: new Map(),
  calls: [],
  faults: [],
  rules: [],
  tickets: new Set(),
  triggers: new Map(),
  responses: [],
};
const sockets = new Set();
const acks = new Map();
let outage = false;
let sequence = 0;
let base = '';

/** The parent may be gone at any moment: a lost report is no crash. */
const tell = (message) => {
  if (process.connected) process.send?.(message, () => {});
};
const changed = () => tell({ changed: true });
const nextTs = () => {
  sequence += 1;
  return `${Math.floor(Date.now() / 1000)}.${String(sequence).padStart(6, '0')}`;
};

// ── Web API ────────────────────────────────────────────────────────────────────────────────────────────────────
const METHODS = {
  'auth.test': {
    scope: null,
    run: () => ({ team_id: TEAM, user_id: BOT_USER, bot_id: 'B0BOT00001', url: base }),
  },
  'apps.connections.open': {
    app: true,
    run: () => {
      const ticket = randomBytes(12).toString('hex');
      state.tickets.add(ticket);
      return { url: `${base.replace('http:', 'ws:')}/link?ticket=${ticket}` };
    },
  },
  'chat.postMessage': { scope: 'chat:write', run: postMessage },
  'chat.update': { scope: 'chat:write', run: updateMessage },
  'chat.postEphemeral': { scope: 'chat:write', run: postEphemeral },
  'users.info': {
    scope: 'users:read',
    run: ({ user }) => {
      const found = state.users.get(user);
      if (!found) return { error: 'user_not_found' };
      const shown = structuredClone(found);
      if (!config.scopes?.includes('users:read.email')) delete shown.profile.email;
      return { user: shown };
    },
  },
  'users.lookupByEmail': {
    scope: 'users:read.email',
    run: ({ email }) => {
      const found = [...state.users.values()].find((one) => one.profile?.email?.toLowerCase() === email);
      return found ? { user: structuredClone(found) } : { error: 'users_not_found', expected: true };
    },
  },
  'conversations.open': {
    scope: 'im:write',
    run: ({ users }) => {
      if (!state.users.has(users)) return { error: 'user_not_found' };
      return { channel: { id: `D${users}` } };
    },
  },
  'usergroups.list': {
    scope: 'usergroups:read',
    run: () => ({
      usergroups: [...state.groups].map(([handle, { id }]) => ({ id, handle, date_delete: 0 })),
    }),
  },
  'usergroups.users.list': {
    scope: 'usergroups:read',
    run: ({ usergroup }) => {
      const found = [...state.groups.values()].find(({ id }) => id === usergroup);
      return found ? { users: found.users } : { error: 'no_such_subteam' };
    },
  },
  'views.open': { scope: null, run: openView },
  'views.publish': {
    scope: null,
    run: ({ user_id, view }) => {
      const fault = checkView(view);
      if (fault) return { error: fault[0], detail: fault[1] };
      state.views.push({ id: `V${state.views.length}`, userId: user_id, view });
      return {};
    },
  },
  'files.getUploadURLExternal': {
    scope: 'files:write',
    run: ({ filename, length }) => {
      if (!filename || !(Number(length) > 0)) return { error: 'invalid_arguments' };
      const id = `F${String(state.files.size + 1).padStart(9, '0')}`;
      state.files.set(id, { id, filename, length: Number(length), content: null, channel: null });
      return { upload_url: `${base}/upload/${id}`, file_id: id };
    },
  },
  'files.completeUploadExternal': {
    scope: 'files:write',
    run: ({ files, channel_id, thread_ts, initial_comment }) => {
      for (const { id, title } of files ?? []) {
        const file = state.files.get(id);
        if (!file || file.content === null) return { error: 'file_not_found' };
        if (channel_id && !isChannel(channel_id)) return { error: 'channel_not_found' };
        Object.assign(file, {
          title,
          channel: channel_id ?? null,
          thread_ts: thread_ts ?? null,
          initial_comment,
        });
      }
      return { files: files.map(({ id }) => ({ id })) };
    },
  },
};

const isChannel = (id) =>
  [...state.channels.values()].includes(id) || (id?.startsWith('DU') && state.users.has(id.slice(1)));
const channelOf = (name) =>
  state.channels.get(name) ?? state.channels.get(`#${name}`) ?? (isChannel(name) ? name : null);

function postMessage(args) {
  const channel = channelOf(args.channel);
  if (!channel) return { error: 'channel_not_found' };
  const fault = checkMessage(args);
  if (fault) return { error: fault[0], detail: fault[1] };
  if (args.thread_ts && !state.messages.some((m) => m.ts === args.thread_ts))
    return { error: 'thread_not_found' };
  const message = { ...args, channel, ts: nextTs(), at: Date.now(), history: [], blocks: args.blocks ?? [] };
  state.messages.push(message);
  return { channel, ts: message.ts, message: { text: args.text } };
}
function updateMessage(args) {
  if (!isChannel(args.channel)) return { error: 'channel_not_found' };
  const message = state.messages.find((m) => m.ts === args.ts && m.channel === args.channel);
  if (!message) return { error: 'message_not_found' };
  const fault = checkMessage(args, { update: true });
  if (fault) return { error: fault[0], detail: fault[1] };
  const before = new Set(message.blocks.map((b) => b.block_id));
  if (args.fresh_block_ids && args.blocks?.some((b) => before.has(b.block_id)))
    return { error: 'invalid_blocks' };
  message.history.push({ text: message.text, blocks: message.blocks });
  message.text = args.text;
  message.blocks = args.blocks ?? [];
  return { channel: args.channel, ts: args.ts };
}
function postEphemeral(args) {
  if (!channelOf(args.channel)) return { error: 'channel_not_found' };
  if (!state.users.has(args.user)) return { error: 'user_not_in_channel' };
  const fault = checkMessage(args);
  if (fault) return { error: fault[0], detail: fault[1] };
  state.ephemerals.push({ user: args.user, text: args.text, blocks: args.blocks ?? [], via: 'api' });
  return { message_ts: nextTs() };
}
function openView({ trigger_id, view }) {
  const trigger = state.triggers.get(trigger_id);
  if (!trigger) return { error: 'invalid_trigger_id' };
  if (trigger.used) return { error: 'exchanged_trigger_id' };
  if (Date.now() - trigger.at > 3000) return { error: 'expired_trigger_id' };
  trigger.used = true;
  const fault = checkView(view);
  if (fault) return { error: fault[0], detail: fault[1] };
  const id = `V${String(state.views.length + 1).padStart(9, '0')}`;
  state.views.push({ id, userId: trigger.userId, view });
  return { view: { id } };
}

function parseBody(type, body) {
  const bare = type.split(';')[0].trim();
  if (bare === 'application/json') return JSON.parse(body.toString() || '{}');
  if (bare !== 'application/x-www-form-urlencoded') return null;
  const args = Object.fromEntries(new URLSearchParams(body.toString()));
  for (const key of ['blocks', 'view', 'metadata', 'files']) {
    if (args[key] === undefined) continue;
    try {
      args[key] = JSON.parse(args[key]);
    } catch {
      return null;
    }
  }
  return args;
}

function answer(response, status, body, headers = {}) {
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8', ...headers });
  response.end(JSON.stringify(body));
}

/** The first rule for this method that has uses left. */
function takeRule(method) {
  const rule = state.rules.find((r) => (r.method === '*' || r.method === method) && r.times > 0);
  if (rule) rule.times -= 1;
  return rule ?? null;
}

function api(method, request, response, body) {
  const call = { method, at: Date.now(), args: null, answer: null };
  state.calls.push(call);
  const rule = takeRule(method);
  const finish = (result) => {
    call.answer = result;
    if (result.error && !result.expected) state.faults.push({ method, ...result });
    changed();
    answer(response, 200, { ok: !result.error, ...result });
  };
  if (rule && rule.kind !== 'lose') {
    call.answer = { error: rule.kind };
    changed();
    if (rule.kind === 'limit')
      return answer(
        response,
        429,
        { ok: false, error: 'ratelimited' },
        { 'retry-after': String(rule.retryAfter ?? 1) },
      );
    if (rule.kind === 'status') return answer(response, rule.status ?? 500, { ok: false, error: 'internal' });
    if (rule.kind === 'html')
      return response.writeHead(200, { 'content-type': 'text/html' }).end('<html>proxy</html>');
    if (rule.kind === 'error')
      return answer(response, 200, { ok: false, error: rule.error ?? 'fatal_error' });
    if (rule.kind === 'reset') return request.socket.destroy();
    if (rule.kind === 'hang') return undefined;
  }
  const known = METHODS[method];
  if (!known) return finish({ error: 'unknown_method' });
  const token = /^Bearer (\S+)$/.exec(request.headers.authorization ?? '')?.[1];
  if (!token) return finish({ error: 'not_authed' });
  if (token !== (known.app ? config.appToken : config.botToken)) return finish({ error: 'invalid_auth' });
  if (known.scope && config.scopes && !config.scopes.includes(known.scope))
    return finish({ error: 'missing_scope', needed: known.scope });
  const args = parseBody(request.headers['content-type'] ?? '', body);
  if (args === null) return finish({ error: 'invalid_form_data' });
  call.args = args;
  const result = known.run(args);
  // Slack did it, and the answer is lost on the way.
  if (rule?.kind === 'lose') {
    call.answer = { ...result, lost: true };
    changed();
    return request.socket.destroy();
  }
  return finish(result);
}

const server = createServer((request, response) => {
  if (outage) return request.socket.destroy();
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', () => {
    const body = Buffer.concat(chunks);
    const path = new URL(request.url, 'http://slack').pathname;
    if (request.method !== 'POST') return answer(response, 405, {});
    if (path.startsWith('/api/')) return api(path.slice(5), request, response, body);
    if (path.startsWith('/upload/')) return upload(path.slice(8), request, response, body);
    if (path.startsWith('/respond/')) return respondedTo(path.slice(9), response, body);
    return answer(response, 404, {});
  });
});
function upload(id, request, response, body) {
  const file = state.files.get(id);
  if (!file) return answer(response, 404, {});
  const boundary = /boundary=(?:"([^"]+)"|([^;]+))/.exec(request.headers['content-type'] ?? '');
  let content = body;
  if (boundary) {
    const mark = `--${boundary[1] ?? boundary[2]}`;
    const start = body.indexOf('\r\n\r\n') + 4;
    content = body.subarray(start, body.indexOf(`\r\n${mark}`, start));
  }
  file.content = content.toString('utf8');
  if (content.length !== file.length) state.faults.push({ method: 'upload', error: 'length differs' });
  changed();
  response.writeHead(200).end('OK');
}
function respondedTo(token, response, body) {
  const entry = state.responses.find((each) => each.token === token);
  if (!entry || entry.uses >= 5 || Date.now() - entry.at > 30 * 60_000)
    return answer(response, 404, { ok: false, error: 'used_url' });
  entry.uses += 1;
  const message = JSON.parse(body.toString());
  const fault = checkMessage(message);
  if (fault) {
    state.faults.push({ method: 'response_url', error: fault[0], detail: fault[1] });
    changed();
    return answer(response, 400, { ok: false, error: fault[0] });
  }
  state.ephemerals.push({
    user: entry.userId,
    text: message.text,
    blocks: message.blocks ?? [],
    via: 'response_url',
  });
  changed();
  return answer(response, 200, { ok: true });
}

// ── Socket Mode ────────────────────────────────────────────────────────────────────────────────────────────────
server.on('upgrade', (request, socket) => {
  const ticket = new URL(request.url, 'http://slack').searchParams.get('ticket');
  if (outage || !state.tickets.delete(ticket)) return socket.destroy();
  const link = accept(request, socket, {
    onText: (text) => {
      const message = JSON.parse(text);
      acks.get(message.envelope_id)?.(message);
      acks.delete(message.envelope_id);
    },
    onClose: () => {
      sockets.delete(link);
      changed();
    },
  });
  sockets.add(link);
  link.send({ type: 'hello', num_connections: sockets.size, connection_info: { app_id: 'A0HOLD' } });
  changed();
  return undefined;
});

function viaSocket(type, payload, copies) {
  const [link] = sockets;
  if (!link) throw new Error('no Socket Mode connection');
  return Promise.all(
    Array.from({ length: copies }, () => {
      const envelope = randomUUID();
      const sent = Date.now();
      return new Promise((resolve) => {
        const timer = setTimeout(() => resolve({ acked: false }), 3000);
        acks.set(envelope, (message) => {
          clearTimeout(timer);
          resolve({ acked: true, ms: Date.now() - sent, payload: message.payload });
        });
        link.send({ envelope_id: envelope, type, payload, accepts_response_payload: type !== 'events_api' });
      });
    }),
  );
}

// ── HTTP towards the bot ───────────────────────────────────────────────────────────────────────────────────────
async function viaHttp(form, { url, forge, skew = 0, copies = 1, contentType, unsigned }) {
  const body = new URLSearchParams(form).toString();
  const stamp = String(Math.floor(Date.now() / 1000) + skew);
  const secret = forge ? 'somebody-elses-secret' : config.signingSecret;
  const signature = `v0=${createHmac('sha256', secret).update(`v0:${stamp}:${body}`).digest('hex')}`;
  return await Promise.all(
    Array.from({ length: copies }, async () => {
      const sent = Date.now();
      const got = await fetch(url, {
        method: 'POST',
        headers: {
          'content-type': contentType ?? 'application/x-www-form-urlencoded',
          ...(unsigned ? {} : { 'x-slack-request-timestamp': stamp, 'x-slack-signature': signature }),
        },
        body,
        signal: AbortSignal.timeout(5000),
      });
      return {
        acked: got.status === 200,
        status: got.status,
        ms: Date.now() - sent,
        payload: await got.text(),
      };
    }),
  );
}
function deliver(type, payload, how) {
  if (how.url === undefined) return viaSocket(type, payload, how.copies ?? 1);
  const form = type === 'slash_commands' ? payload : { payload: JSON.stringify(payload) };
  return viaHttp(form, how);
}

function trigger(userId) {
  const id = `${Date.now()}.${randomBytes(6).toString('hex')}`;
  state.triggers.set(id, { userId, at: Date.now(), used: false });
  return id;
}
function responseUrl(userId) {
  const token = randomBytes(12).toString('hex');
  state.responses.push({ token, userId, at: Date.now(), uses: 0 });
  return `${base}/respond/${token}`;
}
const person = (userId, teamId) => ({
  id: userId,
  username: state.users.get(userId)?.name ?? 'x',
  team_id: teamId,
});

const OPS = {
  state: () => ({
    messages: state.messages,
    ephemerals: state.ephemerals,
    views: state.views,
    files: [...state.files.values()],
    calls: state.calls,
    faults: state.faults,
    sockets: sockets.size,
  }),
  user: (user) => {
    state.users.set(user.id, {
      id: user.id,
      team_id: TEAM,
      name: user.id.toLowerCase(),
      deleted: false,
      is_bot: false,
      is_restricted: false,
      is_ultra_restricted: false,
      is_email_confirmed: true,
      profile: { email: `${user.id.toLowerCase()}@example.com` },
      ...user,
    });
  },
  group: ({ handle, id, users }) => void state.groups.set(handle, { id, users }),
  rule: (rule) => void state.rules.push({ method: '*', times: 1, ...rule }),
  clearRules: () => {
    state.rules = [];
  },
  outage: ({ on }) => {
    outage = on;
    if (on) {
      for (const link of sockets) link.destroy();
      server.closeAllConnections();
    }
  },
  /** Slack recycles a socket: `disconnect` message, then the client is to come back. */
  recycle: () => {
    for (const link of sockets) link.send({ type: 'disconnect', reason: 'refresh_requested' });
  },
  /** For long runs: what was said so far is no longer told of. */
  forget: () => {
    state.calls = [];
    state.ephemerals = [];
    // What still has buttons is yet to be decided.
    for (const message of state.messages.filter((m) => !m.blocks.some((b) => b.type === 'actions')))
      Object.assign(message, { blocks: [], history: [] });
  },
  remove: ({ ts }) => {
    state.messages = state.messages.filter((m) => m.ts !== ts);
  },
  /** `seen`: index into the message's history, for a late tap on what the message was. */
  tap: ({ ts, action, user, option, seen, value, team = TEAM, how = {} }) => {
    const message = state.messages.find((m) => m.ts === ts);
    const blocks = seen === undefined ? message?.blocks : message?.history[seen]?.blocks;
    const block = blocks?.find((b) => b.elements?.some((e) => e.action_id === action));
    const element = block?.elements.find((e) => e.action_id === action);
    if (!element) throw new Error(`the message has no ${action}`);
    const chosen = element.options?.find((o) => o.value.endsWith(`:${option}`));
    if (element.type === 'static_select' && !chosen) throw new Error(`no option ${option}`);
    return deliver(
      'interactive',
      {
        type: 'block_actions',
        team: { id: team, domain: 'hold' },
        user: person(user, team),
        api_app_id: 'A0HOLD',
        container: { type: 'message', message_ts: ts, channel_id: message.channel, is_ephemeral: false },
        trigger_id: trigger(user),
        channel: { id: message.channel, name: 'db' },
        message: { type: 'message', ts, text: message.text },
        response_url: responseUrl(user),
        actions: [
          {
            type: element.type,
            action_id: action,
            block_id: block.block_id,
            action_ts: nextTs(),
            ...(chosen ? { selected_option: chosen } : { value: value ?? element.value }),
          },
        ],
      },
      how,
    );
  },
  tapHome: ({ viewId, action, user, id, option, team = TEAM, how = {} }) => {
    const opened = state.views.find((v) => v.id === viewId);
    const found = opened?.view.blocks
      .flatMap((b) => [b.accessory, ...(b.elements ?? [])])
      .flatMap((e) => [e, ...(e?.options ?? []).map((o) => ({ ...o, action_id: e.action_id }))])
      .find(
        (e) =>
          e?.action_id === action &&
          e.value?.startsWith(`${id}:`) &&
          (option === undefined || e.value.endsWith(`:${option}`)),
      );
    if (!found) throw new Error(`the view has no ${action} for ${id}`);
    return deliver(
      'interactive',
      {
        type: 'block_actions',
        team: { id: team, domain: 'hold' },
        user: person(user, team),
        api_app_id: 'A0HOLD',
        container: { type: 'view', view_id: viewId },
        trigger_id: trigger(user),
        view: { id: viewId, type: 'home' },
        actions: [
          {
            action_id: action,
            action_ts: nextTs(),
            ...(option === undefined
              ? { type: 'button', value: found.value }
              : { type: 'static_select', selected_option: { text: found.text, value: found.value } }),
          },
        ],
      },
      how,
    );
  },
  submit: ({ viewId, user, values = {}, team = TEAM, how = {} }) => {
    const opened = state.views.find((v) => v.id === viewId);
    if (!opened) throw new Error('no such view');
    if (!opened.view.submit) throw new Error('the view has no submit button');
    return deliver(
      'interactive',
      {
        type: 'view_submission',
        team: { id: team, domain: 'hold' },
        user: person(user, team),
        api_app_id: 'A0HOLD',
        trigger_id: trigger(user),
        view: { ...opened.view, id: viewId, state: { values }, team_id: team },
        response_urls: [],
      },
      how,
    );
  },
  command: ({ text, user, team = TEAM, channel = 'C0DB000001', how = {} }) =>
    deliver(
      'slash_commands',
      {
        token: 'legacy',
        team_id: team,
        team_domain: 'hold',
        channel_id: channel,
        channel_name: 'db',
        user_id: user,
        user_name: 'x',
        command: '/hoop',
        text,
        api_app_id: 'A0HOLD',
        is_enterprise_install: 'false',
        response_url: responseUrl(user),
        trigger_id: trigger(user),
      },
      how,
    ),
  home: ({ user, team = TEAM }) =>
    viaSocket(
      'events_api',
      {
        type: 'event_callback',
        team_id: team,
        api_app_id: 'A0HOLD',
        event: { type: 'app_home_opened', user, tab: 'home', channel: 'D1' },
      },
      1,
    ),
  raw: ({ form, how }) => viaHttp(form, how),
};

process.on('message', async ({ id, op, args }) => {
  try {
    const result = await OPS[op](args ?? {});
    tell({ id, result: result ?? null });
    changed();
  } catch (error) {
    tell({ id, error: error instanceof Error ? error.message : String(error) });
  }
});
// The test that started this is gone: so are we.
process.on('disconnect', () => process.exit(0));
server.listen(config.port ?? 0, '127.0.0.1', () => {
  base = `http://127.0.0.1:${server.address().port}`;
  tell({ ready: base });
});
