/** Accepts clients, logs them in, connects them to their target and keeps the list of sessions. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { createSecureContext, type SecureContext } from 'node:tls';
import { NO_NETWORKS, sourceOf } from '../edge/address.ts';
import { Doorkeeper } from '../edge/doorkeeper.ts';
import { createLimiter, type Limiter } from '../identity/limiter.ts';
import type { AccessLevel, Identity } from '../identity/types.ts';
import { RecordingFault } from '../recordings/fault.ts';
import type { SessionRecording } from '../recordings/types.ts';
import { ApplicationName } from './application-name.ts';
import { MemoryBudget } from './budget.ts';
import { Cancels } from './cancels.ts';
import { type Ending, line, toEnding } from './errors.ts';
import { ClientGone, LoginLate } from './exact.ts';
import { authenticate, LoginRefused, open, type Startup } from './login.ts';
import { type Attempt, failureOf } from './login-failure.ts';
import { peerOf, remoteOf } from './peer.ts';
import { DEFAULT_LIMITS, type Gateway, type GatewayDeps, type GatewayLimits } from './ports.ts';
import { createReclaimer } from './reclaim.ts';
import { Session } from './session.ts';
import { startupSettings } from './settings.ts';
import type { Target, UpstreamLogin } from './types.ts';
import { anotherBackend, connectUpstream, poolOf, type UpstreamLink } from './upstream/connect.ts';
import { KEEP_ALIVE_MS, UpstreamFault } from './upstream/open.ts';
import { Pooling, SHARED } from './upstream/pooling.ts';
import {
  authenticationOk,
  backendKeyData,
  errorResponse,
  parameterStatus,
  readyForQuery,
} from './wire/build.ts';
import { WireFault } from './wire/fault.ts';

export type { Gateway, GatewayDeps, GatewayLimits, IdentityPort, SessionView } from './ports.ts';

export function createGateway(deps: GatewayDeps): Gateway {
  return new Listener(deps);
}

type Level = Exclude<AccessLevel, 'none'>;
const LEVELS: readonly Level[] = ['admin', 'read-write', 'read-only'];

/** How long an ended identity may still idle or wait. */
const STANDING_MS = 1000;
/** How often it is looked whether a pooler gives a session's backend to others. */
const POOLS_MS = 5000;

class Listener implements Gateway {
  readonly #deps: GatewayDeps;
  readonly #limits: GatewayLimits;
  readonly #tls: SecureContext | null;
  readonly #sessions = new Map<string, Session>();
  readonly #cancels: Cancels<Session>;
  /** Sessions whose link to the target is still open. */
  readonly #closing = new Set<Promise<void>>();
  readonly #sockets = new Set<Socket>();
  readonly #door: Doorkeeper<Socket>;
  /** Logged in or about to be, by owner. */
  readonly #owners = new Map<string, number>();
  readonly #failures: Limiter;
  readonly #pooling: Pooling;
  /** Sessions by the backend that is theirs alone. */
  readonly #backends = new Map<string, Session>();
  readonly #messages: MemoryBudget;
  readonly #named: MemoryBudget;
  #server: Server | null = null;
  #standing: NodeJS.Timeout | null = null;
  #pools: NodeJS.Timeout | null = null;
  /** Pools that are being looked at. */
  readonly #looking = new Set<string>();
  #stopped = false;

  constructor(deps: GatewayDeps) {
    this.#deps = deps;
    this.#limits = { ...DEFAULT_LIMITS, ...deps.limits };
    this.#tls = deps.tls === null ? null : createSecureContext({ ...deps.tls, minVersion: 'TLSv1.2' });
    this.#cancels = new Cancels(deps.now);
    const { ownerBytes, totalBytes, messageBytes, ownerNamedBytes, totalNamedBytes } = this.#limits;
    // One message that is allowed at all has room at least when it is the only one.
    const perOwner = Math.max(ownerBytes, messageBytes + 1);
    const reclaim = createReclaimer();
    this.#messages = new MemoryBudget({ perOwner, total: Math.max(totalBytes, perOwner) }, reclaim);
    this.#named = new MemoryBudget({ perOwner: ownerNamedBytes, total: totalNamedBytes });
    this.#door = new Doorkeeper(
      { total: this.#limits.total, waiting: this.#limits.loggingIn },
      deps.now,
      (tcp) => tcp.destroy(),
    );
    this.#failures = createLimiter({ burst: 20, perMinute: 20, now: deps.now });
    this.#pooling = new Pooling(deps.now, deps.log);
  }

  async listen(at: { readonly host: string; readonly port: number }): Promise<{ readonly port: number }> {
    const server = createServer(
      { noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS, pauseOnConnect: true },
      (socket) => {
        void this.#accept(socket);
      },
    );
    this.#server = server;
    server.listen(at.port, at.host);
    await once(server, 'listening');
    this.#standing = setInterval(() => {
      for (const session of this.#sessions.values()) {
        session.checkStanding();
        session.checkIdle();
        session.checkBackend();
        session.checkClient();
      }
    }, STANDING_MS);
    this.#standing.unref();
    this.#pools = setInterval(() => this.#lookAtPools(), POOLS_MS);
    this.#pools.unref();
    const address = server.address();
    return { port: typeof address === 'object' && address !== null ? address.port : at.port };
  }

  sessions(): ReturnType<Gateway['sessions']> {
    return [...this.#sessions.values()].map((session) => session.view());
  }

  endIdentity(credentialId: string, why: 'revoked' | 'suspended'): void {
    for (const session of this.#sessions.values())
      if (session.identity.credentialId === credentialId) session.end({ kind: 'identity', standing: why });
    this.#deps.desk
      .endIdentity(credentialId, why)
      .catch((error: unknown) =>
        this.#deps.log.error({ err: error }, 'requests of an ended identity could not be withdrawn'),
      );
  }

  async close(): Promise<void> {
    this.#stopped = true;
    if (this.#standing !== null) clearInterval(this.#standing);
    if (this.#pools !== null) clearInterval(this.#pools);
    const server = this.#server;
    const closed =
      server === null ? Promise.resolve() : new Promise<void>((resolve) => server.close(() => resolve()));
    for (const session of this.#sessions.values()) session.end({ kind: 'shutdown' });
    for (const socket of this.#sockets) if (!this.#owned.has(socket)) socket.destroy();
    await Promise.all([...this.#closing]);
    await closed;
  }

  /** Sockets that a session closes by itself. */
  readonly #owned = new WeakSet<Socket>();

  async #accept(tcp: Socket): Promise<void> {
    const { proxies = NO_NETWORKS } = this.#deps;
    const remote = remoteOf(tcp);
    if (this.#stopped || !this.#door.admit(tcp, sourceOf(remote), proxies.has(remote))) {
      tcp.destroy();
      return;
    }
    this.#sockets.add(tcp);
    tcp.on('error', () => {});
    tcp.once('close', () => {
      this.#sockets.delete(tcp);
      this.#door.leave(tcp);
    });
    const deadline = new AbortController();
    const timer = setTimeout(() => deadline.abort(), this.#limits.loginMs);
    const attempt: Attempt = { socket: tcp, peer: null, packet: null, identity: null };
    try {
      await this.#serve(tcp, attempt, { deadline: deadline.signal, onProven: () => clearTimeout(timer) });
    } catch (error) {
      await this.#refuse(error, attempt);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Only what is wrong counts, and only what is wrong is answered late. */
  async #refuse(error: unknown, attempt: Attempt): Promise<void> {
    const ending = attempt.peer === null ? null : this.#endingOf(error);
    const failure = failureOf(error, ending, attempt);
    if (failure !== null) this.#deps.onLoginFailed?.(failure);
    if (ending?.kind === 'login-failed' && attempt.peer !== null) {
      const { source } = attempt.peer;
      const late = this.#failures.limited(source);
      this.#failures.failed(source);
      if (late) await closing(attempt.socket, this.#limits.backoffMs);
    }
    refuse(attempt.socket, ending);
  }

  #endingOf(error: unknown): Ending | null {
    if (error instanceof LoginRefused) return error.ending;
    if (error instanceof ClientGone) return null;
    if (error instanceof LoginLate) return { kind: 'login-late' };
    if (error instanceof WireFault) return { kind: 'protocol', code: error.code, message: error.message };
    this.#deps.log.error({ err: error }, 'a login could not be checked');
    return { kind: 'login-unchecked' };
  }

  /** The story of a connection up to its session: whose it is, startup, identity, target, recording. */
  async #serve(
    tcp: Socket,
    attempt: Attempt,
    login: { readonly deadline: AbortSignal; readonly onProven: () => void },
  ): Promise<void> {
    const peer = await peerOf(tcp, this.#deps.proxies ?? NO_NETWORKS, login.deadline);
    attempt.peer = peer;
    this.#door.move(tcp, peer.source);
    const opened = await open(tcp, this.#tls, login.deadline, (secure) => {
      attempt.socket = secure;
    });
    const { packet, socket } = opened;
    if (packet.kind === 'cancel') {
      this.#cancels.find(packet.pid, packet.secret, peer.source)?.cancel();
      socket.destroy();
      return;
    }
    attempt.packet = packet;
    const { identity, tail } = await authenticate(opened, packet, peer, this.#deps);
    attempt.identity = identity;
    login.onProven();
    const { target, upstreamLogin, level } = this.#route(packet, identity);
    const owner = identity.owner?.id ?? identity.credentialId;
    if (
      (this.#owners.get(owner) ?? 0) >= this.#limits.perOwner ||
      this.#door.provenBy(peer.source).length >= this.#limits.perAddress
    )
      throw new LoginRefused({ kind: 'too-many-connections' });
    if (tcp.destroyed) throw new ClientGone();
    this.#door.prove(tcp, peer.source);
    tcp.once('close', count(this.#owners, owner));
    const trusted = target.protocol === 'trusted' && target.environment === 'test';
    const settings = startupSettings(packet.parameters, trusted, target.customSettings);
    if (settings.kind === 'refused') throw new LoginRefused({ kind: 'startup-setting', name: settings.name });
    const id = `ses_${randomBytes(10).toString('hex')}`;
    const name = trusted ? null : new ApplicationName(id, settings.applicationName ?? '');
    const shown = name?.shown ?? settings.applicationName ?? '';
    const upstream = await this.#connect(
      target,
      upstreamLogin,
      new Map([...settings.settings, ...settings.holdpoint, ['application_name', shown]]),
    );
    let recording: SessionRecording;
    try {
      const meta = {
        id,
        ownerId: identity.owner?.id ?? null,
        ownerName: identity.owner?.name ?? null,
        ownerEmail: identity.owner?.email ?? null,
        agent: identity.agent,
        subject: identity.subject,
        credentialId: identity.credentialId,
        target: target.name,
        environment: target.environment,
        database: target.database,
        role: upstream.facts.role,
        clientAddress: peer.address,
        applicationName: settings.applicationName === null ? null : line(settings.applicationName, 300),
        groups: identity.groups,
        level,
        startedAt: this.#deps.now(),
      };
      recording = this.#deps.recorder.open(meta, () =>
        this.#sessions.get(id)?.end({ kind: 'not-recordable' }),
      );
    } catch (error) {
      upstream.socket.destroy();
      // The recorder tells of its own faults, once.
      if (!(error instanceof RecordingFault))
        this.#deps.log.error({ err: error }, 'a recording could not be started');
      throw new LoginRefused({ kind: 'not-recordable' });
    }
    const judge = this.#deps.judges.get(target.name);
    if (judge === undefined || this.#stopped || socket.destroyed) {
      upstream.socket.destroy();
      recording.close('the client is gone');
      throw new LoginRefused(judge === undefined ? { kind: 'unknown-target', target: target.name } : null);
    }
    const session = new Session({
      deps: this.#deps,
      limits: this.#limits,
      id,
      identity,
      level,
      target,
      judge,
      client: socket,
      address: peer.address,
      upstream,
      login: upstreamLogin,
      recording,
      applicationName: settings.applicationName,
      holdpointSettings: new Map([...settings.settings, ...settings.holdpoint]),
      memory: {
        messages: (giveWay) => this.#messages.open(owner, giveWay),
        named: this.#named.open(owner),
      },
      name,
      onBackendLost: () => this.#pooling.forget(poolOf(target, upstreamLogin)),
      onEnd: () => {
        this.#sessions.delete(id);
        this.#cancels.forget(key);
      },
    });
    const key = this.#cancels.register(session, upstream.key?.pid ?? null);
    this.#sessions.set(id, session);
    const backend = backendOf(target, upstream.facts.backend);
    this.#backends.set(backend, session);
    this.#owned.add(tcp);
    this.#closing.add(session.closed);
    void session.closed.then(() => {
      this.#closing.delete(session.closed);
      if (this.#backends.get(backend) === session) this.#backends.delete(backend);
    });
    socket.write(
      Buffer.concat([
        tail,
        authenticationOk(),
        ...reports(upstream, settings.applicationName),
        backendKeyData(key.pid, key.secret),
        readyForQuery('I'),
      ]),
    );
    session.start();
  }

  #route(
    packet: Startup,
    identity: Identity,
  ): { readonly target: Target; readonly upstreamLogin: UpstreamLogin; readonly level: Level } {
    const name = packet.parameters.get('database') ?? packet.parameters.get('user') ?? '';
    const target = this.#deps.targets.get(name);
    if (target === undefined) throw new LoginRefused({ kind: 'unknown-target', target: name });
    const level = this.#deps.levelFor(identity.groups);
    // Where a level has no login of its own, the next lesser one serves; never a greater one.
    const usable = level === 'none' ? [] : LEVELS.slice(LEVELS.indexOf(level));
    const upstreamLogin = usable.map((one) => target.logins[one]).find((one) => one !== undefined);
    if (level === 'none' || upstreamLogin === undefined)
      throw new LoginRefused({ kind: 'no-access', target: name });
    return { target, upstreamLogin, level };
  }

  /** Two sessions with one backend at the same time: whatever was proven, it is shared. */
  #checkAlone(target: Target, link: UpstreamLink): void {
    const other = this.#backends.get(backendOf(target, link.facts.backend));
    if (other === undefined) return;
    link.socket.destroy();
    other.lostBackend();
    throw new UpstreamFault(SHARED);
  }

  /** A pooler of several processes may show it late, and any may be set otherwise under its sessions. */
  #lookAtPools(): void {
    const pools = new Map<string, Session[]>();
    for (const session of this.#sessions.values()) {
      if (session.pool === null) continue;
      const name = poolOf(session.pool.target, session.pool.login);
      pools.set(name, [...(pools.get(name) ?? []), session]);
    }
    for (const [name, sessions] of pools) {
      if (this.#looking.has(name)) continue;
      this.#looking.add(name);
      this.#lookAt(sessions)
        .catch((error: unknown) => this.#deps.log.error({ err: error }, 'a pool could not be looked at'))
        .finally(() => this.#looking.delete(name));
    }
  }

  /** The backend that was used last is the next one's: one of the sessions asks, then somebody else. */
  async #lookAt(sessions: readonly Session[]): Promise<void> {
    for (const session of sessions) if (await session.confirmBackend()) break;
    const pool = sessions[0]?.pool ?? null;
    if (pool === null || this.#stopped) return;
    const backend = await anotherBackend(pool.target, pool.login);
    if (backend !== null) this.#backends.get(backendOf(pool.target, backend))?.lostBackend();
  }

  async #connect(
    target: Target,
    login: UpstreamLogin,
    settings: ReadonlyMap<string, string>,
  ): Promise<UpstreamLink> {
    try {
      const link = await connectUpstream({
        target,
        login,
        settings,
        timeoutMs: 10_000,
        pooling: this.#pooling,
      });
      this.#checkAlone(target, link);
      return link;
    } catch (error) {
      const why = error instanceof UpstreamFault ? error.message : 'its answer makes no sense';
      this.#deps.log.warn({ target: target.name, why }, 'a target could not be connected');
      throw new LoginRefused({ kind: 'target-down', target: target.name, why });
    }
  }
}

/** Of one address: what answers there under another name is found by the proof alone. */
const backendOf = ({ host, port }: Target, backend: string): string => `${host}:${port} ${backend}`;

/** Counts one in; the answer counts it out. */
function count(counts: Map<string, number>, key: string): () => void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
  return () => {
    const left = (counts.get(key) ?? 1) - 1;
    if (left === 0) counts.delete(key);
    else counts.set(key, left);
  };
}

/** What the server reported, except that the client sees its own application_name. */
function reports(upstream: UpstreamLink, applicationName: string | null): Buffer[] {
  const parameters = new Map(upstream.parameters);
  parameters.set('application_name', applicationName ?? '');
  return [...parameters].map(([name, value]) => parameterStatus(name, value));
}

/** Resolves when it has closed, after so long at the latest. */
function closing(socket: Socket, ms: number): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      socket.off('close', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    socket.once('close', done);
    if (socket.destroyed) done();
  });
}

function refuse(socket: Socket, ending: Ending | null): void {
  if (ending === null || socket.destroyed || !socket.writable) {
    socket.destroy();
    return;
  }
  socket.end(errorResponse(toEnding(ending)));
  socket.resume();
  const timer = setTimeout(() => socket.destroy(), 2000);
  timer.unref();
  socket.once('close', () => clearTimeout(timer));
}
