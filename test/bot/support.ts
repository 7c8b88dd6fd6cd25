/** A desk and an outbox in memory, with the real ones' promises: settle once, grow by one version, one outbox row a change. */
import { isOwner } from '../../src/approvals/authorise.ts';
import type {
  ApprovalRequest,
  DecideResult,
  Desk,
  RequestPatch,
  RequestStatement,
} from '../../src/approvals/types.ts';
import { createBot } from '../../src/bot/index.ts';
import type { Turn } from '../../src/bot/turn.ts';
import type {
  Alert,
  AlertStore,
  ApproverLike,
  Bot,
  BotConfig,
  BotDeps,
  BotLog,
  CardRef,
  Links,
  Outbox,
  PolicySummary,
  SessionRow,
  Turns,
} from '../../src/bot/types.ts';
import { draftOf, requestOf } from '../support/request.ts';
import { APP_TOKEN, BOT_TOKEN, SIGNING_SECRET, type SlackStandIn } from '../support/slack/index.ts';

export const NOW = Date.UTC(2026, 10, 21, 10, 0, 0);

type Overrides = Partial<Omit<ApprovalRequest, 'statement'>> & { statement?: Partial<RequestStatement> };

export function makeRequest({ statement = {}, ...rest }: Overrides = {}): ApprovalRequest {
  const draft = draftOf({
    target: { name: 'shop', environment: 'prod', database: 'shop', role: 'holdpoint_rw' },
    statement: { sha256: 'a'.repeat(64), ...statement },
    terms: { approverGroups: ['dba'] },
  });
  return requestOf(draft, NOW, rest);
}

export interface TestDesk extends Desk {
  /** A request appears, or changes: with an outbox row, then listeners. */
  put(request: ApprovalRequest): void;
  change(id: string, patch: Partial<RequestPatch>): ApprovalRequest;
  readonly decided: { id: string; effect: string; approver: string; reason: string | null }[];
  readonly outbox: Outbox & { readonly rows: Map<string, number>; readonly cards: Map<string, CardRef> };
}

export function makeDesk(): TestDesk {
  const requests = new Map<string, ApprovalRequest>();
  const listeners = new Set<(request: ApprovalRequest) => void>();
  const rows = new Map<string, number>();
  const cards = new Map<string, CardRef>();
  const decided: TestDesk['decided'] = [];
  function put(request: ApprovalRequest): void {
    requests.set(request.id, request);
    rows.set(request.id, request.version);
    for (const listener of listeners) listener(request);
  }
  function change(id: string, patch: Partial<RequestPatch>): ApprovalRequest {
    const old = requests.get(id);
    if (old === undefined) throw new Error(`no ${id}`);
    const { decision, ...rest } = patch;
    const next: ApprovalRequest = {
      ...old,
      ...rest,
      decisions: decision === undefined ? old.decisions : [...old.decisions, decision],
      version: old.version + 1,
    };
    put(next);
    return next;
  }
  const unused = (): never => {
    throw new Error('not for the bot');
  };
  return {
    put,
    change,
    decided,
    hold: unused,
    ask: unused,
    async withdraw({ id, by }): Promise<DecideResult> {
      const request = requests.get(id) ?? null;
      if (request === null || !isOwner(request, by))
        return { kind: 'refused', why: 'not-owner', request, sentence: 'Only its owner can do that.' };
      return { kind: 'settled', request: change(id, { state: 'withdrawn', endedAt: Date.now() }) };
    },
    explain: unused,
    appraise: unused,
    endIdentity: unused,
    sweep: unused,
    close: unused,
    get: async (id) => requests.get(id) ?? null,
    list: async ({ states }) =>
      [...requests.values()].filter((each) => states === undefined || states.includes(each.state)),
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async decide({ id, approver, effect, reason }): Promise<DecideResult> {
      const request = requests.get(id) ?? null;
      if (request === null)
        return { kind: 'refused', why: 'no-such-request', request, sentence: `There is no request ${id}.` };
      if (request.state !== 'pending') {
        const [winner] = request.decisions;
        return {
          kind: 'lost',
          request,
          sentence: `${id} was already decided by ${winner?.approverName ?? 'somebody else'}.`,
        };
      }
      if (approver.id === request.requester.ownerId)
        return {
          kind: 'refused',
          why: 'own-request',
          request,
          sentence: 'You cannot decide your own request.',
        };
      decided.push({ id, effect, approver: approver.id, reason });
      const decision = {
        approverId: approver.id,
        approverName: approver.name,
        surface: approver.surface,
        effect,
        reason,
        at: Date.now(),
      };
      const counts = request.decisions.length + 1;
      if (effect === 'approve' && counts < request.terms.quorum) {
        const next = change(id, { decision });
        return { kind: 'counted', request: next, missing: request.terms.quorum - counts };
      }
      const next =
        effect === 'approve'
          ? change(id, { state: 'granted', decision, grantExpiresAt: Date.now() + 900_000 })
          : change(id, { state: 'denied', decision, endedAt: Date.now() });
      return { kind: 'settled', request: next };
    },
    outbox: {
      rows,
      cards,
      behind: async (limit) =>
        [...rows].slice(0, limit).map(([requestId, version]) => ({ requestId, version })),
      card: async (id) => cards.get(id) ?? null,
      patchCard: async (id, change) => void cards.set(id, { ...(cards.get(id) ?? blank(id)), ...change }),
      ask: async (id, stray) => {
        const card = cards.get(id);
        if (card !== undefined) cards.set(id, { ...card, version: 0, stray: stray ?? card.stray });
        rows.set(id, requests.get(id)?.version ?? 0);
      },
      done: async (id, version) => {
        if ((rows.get(id) ?? 0) <= version) rows.delete(id);
      },
    },
  };
}

const blank = (requestId: string): CardRef => ({
  requestId,
  channel: '',
  ts: null,
  version: 0,
  postingSince: null,
  threadPosted: false,
  outcomePosted: false,
  reminderPosted: false,
  escalationPosted: false,
  told: [],
  stray: null,
});

/** Of a process that is alone. */
export const ALONE: Turns = { take: async () => true, give: async () => undefined };
export const MINE: Turn = {
  mine: () => true,
  guard: (api) => api,
  start: async () => undefined,
  stop: async () => undefined,
};

export interface Logged {
  readonly level: string;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly message: string;
}
export function makeLog(): BotLog & { readonly lines: Logged[] } {
  const lines: Logged[] = [];
  const at = (level: string) => (fields: Readonly<Record<string, unknown>>, message: string) =>
    void lines.push({ level, fields, message });
  return { lines, debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

const listed = (name: string, slackId: string | null): ApproverLike => {
  const email = `${name.toLowerCase()}@example.com`;
  return { id: email, name, email, slackId, groups: ['dba'], auditor: slackId !== null };
};
const DANA = listed('Dana', 'UDANA');
const ERIN = listed('Erin', null);
const ALICE = listed('Alice', null);

export interface Rig {
  readonly bot: Bot;
  /** Owner, and by whom. */
  readonly suspended: readonly (readonly [string | null, string])[];
  readonly desk: TestDesk;
  readonly log: ReturnType<typeof makeLog>;
  readonly sessionQueries: { owner: string; since?: number; held?: true }[];
  /** `undefined` in Socket Mode. */
  readonly url: string | undefined;
  /** Options for taps and commands in this mode. */
  readonly how: { readonly url?: string };
  stop(): Promise<void>;
}

/** A real bot of ours against the stand-in. Dana is known by Slack id, Erin and Alice by e-mail. */
export async function startRig(
  slack: SlackStandIn,
  options: {
    readonly mode?: 'socket' | 'http';
    readonly publicUrl?: string | null;
    readonly desk?: TestDesk;
    readonly rows?: readonly SessionRow[];
    readonly config?: Partial<BotConfig>;
    readonly counter?: BotDeps['counter'];
    readonly revealer?: BotDeps['revealer'];
    readonly alerts?: AlertStore;
    readonly turns?: Turns;
    readonly links?: Readonly<Record<string, string>>;
  } = {},
): Promise<Rig> {
  const { mode = 'socket', publicUrl = null, rows = [] } = options;
  const desk = options.desk ?? makeDesk();
  const log = makeLog();
  const sessionQueries: { owner: string; since?: number; held?: true }[] = [];
  const suspended: (readonly [string | null, string])[] = [];
  const alerts = options.alerts ?? makeAlerts();
  const bot: Bot = await createBot({
    config: {
      botToken: BOT_TOKEN,
      appToken: mode === 'socket' ? APP_TOKEN : null,
      signingSecret: SIGNING_SECRET,
      channel: '#db',
      apiUrl: slack.apiUrl,
      port: 0,
      publicUrl,
      ...options.config,
    },
    desk,
    outbox: desk.outbox,
    turns: options.turns ?? ALONE,
    counter: options.counter ?? null,
    revealer: options.revealer ?? { reveal: async () => ({ kind: 'not-revealed' as const, sentence: '' }) },
    links: linksOf(options.links),
    linking: {
      begin: ({ userId }) => (publicUrl === null ? null : `${publicUrl}/slack/link/${userId}`),
      finish: async (confirmed, _, userId) => (confirmed === `for-${userId}` ? 'Dana' : null),
    },
    policies: {
      targets: ['shop'],
      deciders: () => ['dba'],
      describe: (target) => (target === 'shop' ? POLICY : null),
    },
    approvers: {
      bySlackId: (id) => (id === 'UDANA' ? DANA : null),
      byEmail: (email) => [ERIN, ALICE].find((each) => each.id === email) ?? null,
      isSuspended: (keys) => keys.includes('suspended@example.com'),
      byLogin: async () => null,
      byId: (id) => [DANA, ERIN, ALICE].find((each) => each.id === id) ?? null,
    },
    sessions: {
      list: async (query) => {
        sessionQueries.push(query);
        return rows.filter((row) => row.ownerEmail === query.owner);
      },
    },
    alerts,
    suspend: async ({ id, requester }, by) => {
      suspended.push([requester.ownerId, by.id]);
      await alerts.suspended(id, by.name);
    },
    log,
    now: Date.now,
  });
  await bot.start();
  const url = mode === 'http' ? `http://127.0.0.1:${bot.port}/slack/events` : undefined;
  return {
    bot,
    suspended,
    desk,
    log,
    sessionQueries,
    url,
    how: url === undefined ? {} : { url },
    stop: () => bot.stop(),
  };
}

const POLICY: PolicySummary = {
  target: 'shop',
  version: '0123456789abcdef',
  preset: 'guarded',
  observed: false,
  defaults: [
    { name: 'ddl', effect: 'hold' },
    { name: 'copy', effect: 'deny' },
  ],
  rules: [{ name: 'deletes', effect: 'hold', observed: true }],
  change: { at: NOW, author: 'Erin' },
};

export function makeAlerts(): AlertStore {
  const all = new Map<string, Alert>();
  const attempts = new Map<string, readonly string[]>();
  const change = (id: string, patch: Partial<Alert>): void => {
    const old = all.get(id);
    if (old !== undefined) all.set(id, { ...old, ...patch });
  };
  return {
    attempt: async ({ line, ...tried }, { count, lines }) => {
      if ([...all.values()].some(({ key }) => key === tried.key)) return 'known';
      const sofar = [...(attempts.get(tried.key) ?? []), line];
      attempts.set(tried.key, sofar);
      if (sofar.length < count) return 'counted';
      const shown = { lines: sofar.slice(-lines), ts: null, shown: false, suspendedBy: null };
      all.set(tried.id, { ...tried, ...shown, count, since: tried.at });
      return 'told';
    },
    get: async (id) => all.get(id) ?? null,
    unsent: async () => [...all.values()].filter((one) => !one.shown).map((one) => one.id),
    sent: async (id, { suspendedBy, ...place }) =>
      change(id, { ...place, shown: all.get(id)?.suspendedBy === suspendedBy }),
    suspended: async (id, by) => change(id, { suspendedBy: by, shown: false }),
  };
}

/** Slack user → owner. */
export function linksOf(links: Readonly<Record<string, string>> = {}): Links {
  return {
    userOf: async (_, owner) => Object.entries(links).find((each) => each[1] === owner)?.[0] ?? null,
    ownerOf: async (_, user) => {
      const id = links[user];
      return id === undefined ? null : { id, name: id };
    },
  };
}

export async function people(slack: SlackStandIn): Promise<void> {
  await slack.user({ id: 'UDANA' });
  await slack.user({ id: 'UERIN', profile: { email: 'Erin@Example.com' } });
  await slack.user({ id: 'UALICE', profile: { email: 'alice@example.com' } });
  await slack.user({ id: 'UMALLORY', profile: { email: 'mallory@example.com' } });
}
