/**
 * The composition root: one frozen Config in, a running Holdpoint out. Everything that the parts need of each other is handed over here;
 * the order of starting is the order of dependence, the order of stopping its reverse.
 */
import { join } from 'node:path';
import { type Logger, pino } from 'pino';
import { isSuspendable } from './approvals/about.ts';
import { createDesk } from './approvals/desk.ts';
import { sharedClock } from './clock.ts';
import type { Config, TargetSettings } from './config.ts';
import { createHealth } from './console/health.ts';
import { createConsole } from './console/server.ts';
import { DEMO_APPROVER, demoAgent, endDemoAgent, startShop } from './demo.ts';
import { networksOf } from './edge/address.ts';
import { keepPostgres } from './embedded/keep.ts';
import { lock } from './embedded/lock.ts';
import { backTest } from './gateway/back-test.ts';
import { explainOn } from './gateway/explain.ts';
import { createGuesses } from './gateway/guesses.ts';
import { createAppraiser } from './gateway/impact/index.ts';
import { createJudge } from './gateway/judge/judge.ts';
import { type PolicyFile, watchPolicyFile } from './gateway/judge/policy-file.ts';
import { sampleTarget } from './gateway/judge/sample.ts';
import { createGateway } from './gateway/listener.ts';
import { createPolicyEditor } from './gateway/policy-editor.ts';
import { createRevealer } from './gateway/reveal.ts';
import type { Judge } from './gateway/types.ts';
import { alertOf, BURST, createFailedLogins } from './identity/failed-logins.ts';
import { createAccess, createIdentity } from './identity/index.ts';
import { follow } from './identity/known.ts';
import { createBudget } from './identity/limiter.ts';
import { createDirectory, loginKey } from './identity/roles.ts';
import { createSignIn } from './identity/sign-in.ts';
import { createSlackLinking } from './identity/slack-link.ts';
import { suspensionKey } from './identity/suspension.ts';
import type { ApproverRecord } from './identity/types.ts';
import { highest, levelsOf } from './levels.ts';
import { faultNotices, identityNotices, moved, targetNotices } from './notices.ts';
import type { PolicyChange } from './policy/live.ts';
import { defaultPolicyText, demoPolicyText } from './policy/rules/default.ts';
import { createPolicyHolder, type PolicyHolder } from './policy/rules/holder.ts';
import { parsePolicy } from './policy/rules/parse.ts';
import { createTagLookup } from './policy/rules/tags.ts';
import { suggestAll } from './policy/suggest.ts';
import { checkListen, listenFrom } from './ports.ts';
import { readinessChecks } from './readiness.ts';
import { loadSigningKey } from './recordings/keys.ts';
import { createRecorder } from './recordings/recorder.ts';
import { keptSecret, makeDirectory, readPrivate, secretText, writePrivate } from './secrets.ts';
import { type SlackParts, slackBot } from './slack.ts';
import { openStore, patiently } from './store/store.ts';

/** What `holdpoint start` prints. `agentUrl` holds the demo agent's credential, links are one-time links to the console. */
export interface Running {
  readonly gateway: { readonly host: string; readonly port: number };
  readonly console: { readonly host: string; readonly port: number; readonly url: string };
  readonly slack: string | null;
  readonly agentUrl: string | null;
  readonly target: string;
  readonly demo: boolean;
  /** One that has an access level, to mint a first credential with. */
  readonly group: string | null;
  /** The first who is named, and a link of theirs; null: approvers log in. */
  readonly approver: { readonly name: string; readonly link: string } | null;
  /** Links of the other approvers: nobody who may decide may make one for somebody else, the operator hands them out. */
  readonly otherLinks: readonly { readonly approver: string; readonly link: string }[];
  /** Sentences the user must see: moved ports, default policies, one login for every level. */
  readonly notices: readonly string[];
  stop(): Promise<void>;
}

const SYNC_MS = 5_000;
const DAY_MS = 86_400_000;

export async function startApp(config: Config, progress: (line: string) => void): Promise<Running> {
  const now = () => Date.now();
  const stops: (() => Promise<void> | void)[] = [];
  const stop = async () => {
    for (const one of stops.splice(0).reverse()) await one();
  };
  try {
    return await compose(config, progress, now, stops, stop);
  } catch (error) {
    await stop();
    throw error;
  }
}

async function compose(
  config: Config,
  progress: (line: string) => void,
  now: () => number,
  stops: (() => Promise<void> | void)[],
  stop: () => Promise<void>,
): Promise<Running> {
  const notices: string[] = [];
  const approvers = approversOf(config);
  makeDirectory(config.dataDir);
  const held = lock(config.dataDir);
  stops.push(() => held.release());
  const file = (name: string) => join(config.dataDir, name);
  const log = pino({ level: config.logLevel, base: null }, pino.destination({ dest: 2, sync: false }));

  // Before anything is started: a mistake in a policy is told at once.
  const policies = new Map<string, PolicyFile>();
  const files = new Map<string, PolicyFile>();
  for (const target of config.targets) policies.set(target.name, await policyOf(target, files, log, stops));

  for (const [name, wanted] of [
    ['the gateway', config.gateway],
    ['the console', config.console],
  ] as const)
    await checkListen(wanted, name);
  const probed = Promise.all(config.targets.map(faultNotices));
  const storeUrl = config.storeUrl ?? (await embeddedStore(file, log, progress, stops));
  progress('opening the store');
  const store = await sure(() => openStore({ url: storeUrl, log })).catch((error: Error) => {
    if (config.storeUrl === null) throw error;
    throw new Error(
      `${error.message} Check HOLDPOINT_STORE_URL (store.url), that its server runs and takes this login.`,
    );
  });
  stops.push(() => store.close());
  const secret = async (name: string) =>
    Buffer.from(await sure(() => store.meta.getOrCreate(name, () => secretText(32))), 'base64url');

  const targets = config.demo ? [await demoTarget(config.dataDir, log, progress, stops)] : config.targets;
  if (!config.demo) notices.push(...targetNotices(config.targets), ...identityNotices(config));

  const shared = sharedClock(() => store.time(), now());
  await shared.sync();
  const clock = setInterval(() => void shared.sync(), SYNC_MS);
  stops.push(() => clearInterval(clock));
  const desk = createDesk({ store: store.requests, now: shared.now, log, name: store.name });
  stops.push(() => desk.close());
  // The embedded store is this process's alone; on a shared one the heartbeats tell who is gone.
  if (config.storeUrl === null) {
    await sure(() => desk.recover());
    await sure(() => store.turns.clear());
  }
  // The first sign of life, before there is a session: others must not take it for abandoned.
  await desk.sweep();
  const recorder = createRecorder({
    dir: file('recordings'),
    now,
    log,
    index: store.sessions,
    ...(config.storeUrl === null ? {} : { endAbandoned: () => store.sessions.endAbandoned() }),
    signingKey: loadSigningKey(file('keys'), { dir: file('recordings'), log }),
  });
  stops.push(() => recorder.close());
  await recorder.recover();

  stops.push(store.elsewhere.onChange((id) => void desk.heard(id)));
  const sweeper = setInterval(() => void desk.sweep(), 1000);
  stops.push(() => clearInterval(sweeper));

  const failedLogins = createFailedLogins({
    store: store.failedLogins,
    log,
    now,
    onBurst: (burst) =>
      store.alerts.raise(alertOf(burst, config.slack?.alerts?.channel ?? null), BURST.withinMs),
  });
  stops.push(() => failedLogins.close());
  const mayAsk = createBudget({ burst: 20, perSecond: 5, now });
  const { credentials } = store;
  const identity = createIdentity({ issuers: config.issuers, credentials, now, log, mayAsk });
  stops.push(() => identity.close());
  const { oidc, roles } = config.console;
  const directory = createDirectory({
    approvers,
    roles,
    policyAdmins: config.policyAdmins,
    login: oidc === null ? null : loginKey(oidc.issuer, oidc.clientId),
  });
  const access = createAccess({ credentials, directory, now, mayAsk, onFailed: failedLogins.note });
  // Before anybody can knock: after a restart, too, whoever holds what stands is known.
  stops.push(
    await sure(() => follow(store.elsewhere, { access: access.issued, credential: identity.issued })),
  );
  const signIn =
    oidc === null
      ? null
      : createSignIn({
          config: oidc,
          key: await secret('sign-in-key'),
          now,
          log,
        });

  const placed: Placed[] = [];
  for (const target of targets) {
    const { holder } = policies.get(target.name) ?? fixed(demoPolicyText);
    const judge = createJudge({ target, policy: holder, log, now });
    stops.push(() => judge.close());
    placed.push({ target, policy: holder, judge });
  }
  const first = placed[0];
  const approver = approvers[0];
  if (first === undefined)
    throw new Error('There is no target. Name one in holdpoint.yaml or with --target.');

  const suspend = async (id: string, by: string): Promise<boolean> => {
    const done = await identity.suspend(id, by);
    await access.endAll(id);
    // Live sessions notice within a second; what waits or is granted without one is withdrawn here.
    const open = await desk.list({ states: ['pending', 'granted', 'executing'], limit: 1000 });
    const key = suspensionKey(id);
    const theirs = open.filter(({ requester: { ownerId, ownerEmail } }) =>
      [ownerId, ownerEmail].some((one) => one !== null && suspensionKey(one) === key),
    );
    for (const credential of new Set(theirs.map(({ requester }) => requester.credentialId)))
      gateway.endIdentity(credential, 'suspended');
    return done;
  };

  const suspendFor: SlackParts['suspend'] = async ({ id, requester, suspendedBy }, by) => {
    if (suspendedBy !== null) return;
    const { ownerId, credentialId } = requester;
    if (ownerId !== null) await suspend(ownerId, by.id);
    else if (await identity.revoke(credentialId)) gateway.endIdentity(credentialId, 'suspended');
    await store.alerts.suspended(id, by.name);
  };
  const linking = createSlackLinking(await secret('slack-link-key'), now);
  const impact = createAppraiser({ desk, now: shared.now, log });
  stops.push(() => impact.close());
  const revealer = createRevealer({
    desk,
    subjectOf: impact.subjectOf,
    allowedAt: (name) => {
      const one = placed.find(({ target }) => target.name === name);
      return one === undefined ? null : { target: one.target, groups: one.policy.current().policy.reveal };
    },
    recorder,
    now,
    log,
  });
  const bot =
    config.slack === null
      ? null
      : await slackBot(config, config.slack, {
          desk,
          outbox: store.outbox,
          turns: store.turns,
          sessions: recorder.sessions,
          links: store.links,
          linking,
          access,
          approvers,
          directory,
          counter: impact,
          revealer,
          alerts: store.alerts,
          suspend: suspendFor,
          isSuspended: (keys) => identity.isSuspended(keys),
          targets: placed.map(({ target }) => target.name),
          policyOf: (name) => {
            const one = placed.find(({ target }) => target.name === name);
            const change = editor.view(name)?.change ?? null;
            return one === undefined ? null : { held: one.policy.current(), change };
          },
          log,
          now: shared.now,
        });

  const levels = levelsOf(config);
  const gateway = createGateway({
    targets: new Map(placed.map(({ target }) => [target.name, target])),
    judges: new Map(placed.map(({ target, judge }) => [target.name, judge])),
    desk,
    recorder,
    identity,
    holdTerms: { ...config.hold, lockedWaitMs: 10_000 },
    where: bot?.where ?? 'the Holdpoint console',
    impact,
    tls: config.gateway.tls,
    limits: config.gateway.limits,
    fingerprintKey: await secret('fingerprint-key'),
    levelFor: (groups) => highest(groups, levels),
    onBlocked: (blocked) => bot?.denied(blocked),
    onLoginFailed: failedLogins.note,
    guesses: createGuesses({
      ...config.guesses,
      now: shared.now,
      log,
      onAlert: (alert) =>
        store.alerts.raise(
          { ...alert, channel: config.slack?.alerts?.channel ?? null },
          config.guesses.withinMs,
        ),
    }),
    proxies: networksOf(config.gateway.trustedProxies),
    log,
    now,
  });
  stops.push(() => gateway.close());
  const listening = await listenFrom(config.gateway, 'the gateway', (port) =>
    gateway.listen({ host: config.gateway.host, port }),
  );

  const editor = createPolicyEditor({
    policies: placed.map(({ target, policy }) => {
      const path = target.policyPath;
      const reload = policies.get(target.name)?.reload;
      return {
        target,
        holder: policy,
        file: path === null || reload === undefined ? null : { path, reload },
      };
    }),
    admins: config.policyAdmins,
    recorder,
    kept: keptChanges((target) => file(`policy-change-${target}.json`)),
    now,
    log,
  });
  stops.push(() => editor.close());

  // Last of those that people reach: it answers from all of the above.
  if (bot !== null) {
    stops.push(() => bot.stop());
    await bot.start();
  }

  const checks = readinessChecks({ store, recordings: file('recordings'), targets });
  const console = createConsole({
    access,
    signIn,
    slackLinking: bot === null ? null : linking,
    people: {
      suspensions: () => store.credentials.listSuspensions(),
      suspend,
      restore: (id) => identity.unsuspend(id),
    },
    bursts: {
      recent: () => store.alerts.recent(shared.now() - DAY_MS),
      async suspend(id, by) {
        const alert = await store.alerts.get(id);
        if (alert === null || !isSuspendable(alert)) return null;
        await suspendFor(alert, by);
        return alert;
      },
    },
    desk,
    counter: impact,
    revealer,
    sessions: recorder.sessions,
    recorder,
    policy: editor,
    explain: async (sql, name, tree) => {
      const one = placed.find(({ target }) => target.name === name);
      return one === undefined ? null : explainOn({ ...one, now }, sql, tree);
    },
    suggest: async (name) => {
      const one = placed.find(({ target }) => target.name === name);
      if (one === undefined) return null;
      const { tables, unread, partial } = await sampleTarget(one.target);
      return { ...suggestAll(tables, createTagLookup(one.policy.current().policy)), unread, partial };
    },
    replay: async ({ target: name, since, policy: text }) => {
      const one = placed.find(({ target }) => target.name === name);
      if (one === undefined) return null;
      const parsed = text === null ? null : parsePolicy(text);
      if (parsed?.kind === 'mistakes') return { mistakes: parsed.mistakes };
      return backTest({
        target: one.target,
        inForce: one.policy.current(),
        candidate: text === null ? null : createPolicyHolder(text),
        since,
        sessions: recorder.sessions,
        recorder,
        now,
      });
    },
    mintCredential: (input) => identity.mint(input),
    revokeCredential: async (id) => {
      const done = await identity.revoke(id);
      if (done) gateway.endIdentity(id, 'revoked');
      return done;
    },
    health: createHealth(checks, { log, now }),
    failedLogins: { note: failedLogins.note, summary: (since) => store.failedLogins.summary(since) },
    listen: {
      ...config.console,
      publicUrl: config.publicUrl,
      allowedHosts: [],
      proxies: networksOf(config.console.trustedProxies),
    },
    log,
    now,
  });
  const served = await console.listen();
  stops.push(() => console.close());
  notices.push(...(await probed).flat());
  notices.unshift(
    ...moved('the gateway', config.gateway, listening.port),
    ...moved('the console', config.console, served.port),
  );

  const url = `http://${inUrl(served.host)}:${served.port}`;
  const linkFor = async ({ id }: ApproverRecord) =>
    `${config.publicUrl ?? url}/login/${await sure(() => access.mintLink(id))}`;
  const at = { host: inUrl(config.gateway.host), port: listening.port };
  const agentUrl = config.demo
    ? await sure(() => demoAgent(config.dataDir, identity, { ...at, target: first.target.name }, now()))
    : null;
  if (!config.demo) await sure(() => endDemoAgent(config.dataDir, identity));
  writePrivate(file('run.json'), JSON.stringify({ pid: process.pid, console: url, gateway: at }));
  return {
    gateway: at,
    console: { ...served, url },
    slack: bot?.where ?? null,
    agentUrl,
    target: first.target.name,
    demo: config.demo,
    group: levels.keys().next().value ?? null,
    approver: approver === undefined ? null : { name: approver.name, link: await linkFor(approver) },
    otherLinks: await Promise.all(
      approvers.slice(1).map(async (one) => ({ approver: one.name, link: await linkFor(one) })),
    ),
    notices,
    stop,
  };
}

/** A start does nothing that may not be done twice. */
const sure = <T>(work: () => Promise<T>): Promise<T> => patiently(STORE_PATIENCE_MS, work);
const STORE_PATIENCE_MS = 30_000;

/** Nobody decides whom nobody named: the demo's approver is for the demo alone, and not where people log in. */
function approversOf({ approvers, console, demo, slack }: Config): readonly ApproverRecord[] {
  if (approvers.length > 0) return approvers;
  if (console.oidc !== null || slack?.userGroups === true) return [];
  if (demo) return [DEMO_APPROVER];
  throw new Error(
    'Nobody may decide: name approvers in holdpoint.yaml (identity.approvers) or in HOLDPOINT_APPROVERS=you@example.com, or let people log in (console.oidc).',
  );
}

function inUrl(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}

interface Placed {
  readonly target: TargetSettings;
  readonly policy: PolicyHolder;
  readonly judge: Judge;
}

type File = (name: string) => string;
type Stops = (() => Promise<void> | void)[];

async function embeddedStore(
  file: File,
  log: Logger,
  progress: (line: string) => void,
  stops: Stops,
): Promise<string> {
  progress('starting the embedded PostgreSQL for the store');
  const password = keptSecret(file('store.secret'));
  const server = await keepPostgres({
    dataDir: file('store'),
    port: 0,
    superuser: 'holdpoint',
    password,
    log,
  });
  stops.push(() => server.stop());
  return `postgres://holdpoint:${encodeURIComponent(password)}@${server.host}:${server.port}/postgres`;
}

async function demoTarget(
  dataDir: string,
  log: Logger,
  progress: (line: string) => void,
  stops: Stops,
): Promise<TargetSettings> {
  progress('starting the demo database "shop"');
  const shop = await startShop(dataDir, log);
  stops.push(() => shop.stop());
  return shop.target;
}

/** Targets with one file share what watches it: they change together. */
async function policyOf(
  target: TargetSettings,
  files: Map<string, PolicyFile>,
  log: Logger,
  stops: Stops,
): Promise<PolicyFile> {
  const path = target.policyPath;
  if (path === null) return fixed(defaultPolicyText);
  const known = files.get(path);
  if (known !== undefined) return known;
  const watched = await watchPolicyFile(path, { log });
  stops.push(() => watched.close());
  files.set(path, watched);
  return watched;
}

const fixed = (text: string): PolicyFile => ({
  holder: createPolicyHolder(text),
  reload: async () => undefined,
  close: () => undefined,
});

function keptChanges(pathOf: (target: string) => string) {
  return {
    load(target: string): PolicyChange | null {
      try {
        // Written below, in a directory that is this user's alone.
        return JSON.parse(readPrivate(pathOf(target)) ?? 'null') as PolicyChange | null;
      } catch {
        // The file's older policy may be the looser one.
        throw new Error(
          `The policy of ${target} that was put in force through the API cannot be read (${pathOf(target)}). Restore that file, or remove it to go back to the policy file.`,
        );
      }
    },
    save: (target: string, change: PolicyChange) => writePrivate(pathOf(target), JSON.stringify(change)),
  };
}
