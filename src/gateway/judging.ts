/** From a text to its plan, with the state that the session has now. */
import type { AccessLevel, Identity } from '../identity/types.ts';
import { amid, movesNames, reachesByName } from '../policy/resolution.ts';
import type { Facts, PolicyContext, ResolutionContext } from '../policy/types.ts';
import type { SessionContext } from './context.ts';
import type { Names, Portal, Prepared } from './names.ts';
import { type Plan, plan } from './plan.ts';
import { refuseSetting } from './settings.ts';
import type { Judge, JudgeContext, Judged, Target } from './types.ts';

export type Planned =
  | { readonly kind: 'plan'; readonly plan: Plan }
  /** It would run a prepared statement that does not exist. */
  | { readonly kind: 'no-statement'; readonly name: string };

type Reached =
  | {
      readonly kind: 'texts';
      readonly texts: readonly (readonly [string, readonly number[]])[];
      /** A cursor goes on that touches tagged columns, or may. */
      readonly exposes: boolean;
    }
  | {
      readonly kind: 'no-statement';
      readonly name: string;
    };

/** Texts that the string itself prepares, by their names. */
type Own = Map<string, readonly string[]>;

const NONE: readonly number[] = [];

export class Judging {
  readonly #judge: Judge;
  readonly #context: SessionContext;
  readonly #server: number;
  readonly #statements: Names<Prepared>;
  readonly #portals: Names<Portal>;
  readonly #policy: Readonly<Record<PolicyContext['transaction'], PolicyContext>>;
  /** A repeat is a map lookup (DESIGN.md 2). */
  readonly #plans = new WeakMap<Judged, Plan>();

  constructor(options: {
    readonly judge: Judge;
    readonly context: SessionContext;
    readonly statements: Names<Prepared>;
    readonly portals: Names<Portal>;
    readonly target: Target;
    readonly identity: Identity;
    readonly level: AccessLevel;
    /** `server_version_num` of the session's backend. */
    readonly server: number;
  }) {
    const { target, identity } = options;
    this.#judge = options.judge;
    this.#context = options.context;
    this.#server = options.server;
    this.#statements = options.statements;
    this.#portals = options.portals;
    const at = (transaction: PolicyContext['transaction']): PolicyContext => ({
      target: target.name,
      environment: target.environment,
      owner: identity.owner?.id ?? null,
      agent: identity.agent,
      groups: identity.groups,
      level: options.level,
      transaction,
    });
    this.#policy = { idle: at('idle'), open: at('open'), failed: at('failed') };
  }

  /** Without waiting, or null. */
  now(sql: string, paramTypes: readonly number[], transaction: PolicyContext['transaction']): Plan | null {
    const judged = this.#cached(sql, this.at(paramTypes, transaction));
    if (judged === null) return null;
    const known = this.#plans.get(judged);
    if (known !== undefined) return known;
    const reached = this.#reached(judged.facts);
    if (reached.kind !== 'texts' || reached.texts.length > 0 || byName(judged.facts)) return null;
    const made = plan(sql, [judged]);
    this.#plans.set(judged, made);
    return made;
  }

  async later(
    sql: string,
    paramTypes: readonly number[],
    transaction: PolicyContext['transaction'],
    fresh = false,
  ): Promise<Planned> {
    const here = this.at(paramTypes, transaction);
    const planned = await this.#whole(sql, here, fresh);
    if (planned.kind !== 'plan') return planned;
    const [outer, ...inner] = planned.plan.judged;
    const moving = inner.flatMap(({ facts }) => facts?.statements.filter(movesNames) ?? []);
    if (moving.length === 0 || (outer?.facts?.statements.length ?? 0) < 2) return planned;
    // What follows in the string runs after what these do to its names.
    return this.#whole(sql, { ...here, resolution: amid(here.resolution, moving) });
  }

  /** With all that it runs by name, and what that runs in turn. */
  async #whole(sql: string, here: JudgeContext, fresh = false): Promise<Planned> {
    const outer = await this.#judged(sql, here, fresh);
    const judged = [outer];
    const known = new Set<string>();
    const resolution: ResolutionContext = outer.facts?.reached ?? here.resolution;
    let exposes = false;
    const own: Own = new Map();
    for (const { facts } of judged) {
      const reached = this.#reached(facts, own, facts !== outer.facts);
      if (reached.kind === 'no-statement') return reached;
      exposes ||= reached.exposes;
      for (const [text, paramTypes] of reached.texts) {
        if (known.has(text)) continue;
        known.add(text);
        judged.push(await this.#judged(text, { ...here, resolution, paramTypes }));
      }
    }
    return { kind: 'plan', plan: plan(sql, judged, exposes) };
  }

  /** One statement of a script, where earlier ones of it have changed these names. */
  async part(sql: string, changed: readonly string[]): Promise<Planned> {
    const here = this.at(NONE, 'idle');
    const resolution = { ...here.resolution, changed: [...(here.resolution.changed ?? []), ...changed] };
    const judged = await this.#judged(sql, { ...here, resolution });
    const reached = this.#reached(judged.facts);
    if (reached.kind === 'no-statement') return reached;
    return { kind: 'plan', plan: plan(sql, [judged], reached.exposes) };
  }

  at(paramTypes: readonly number[], transaction: PolicyContext['transaction']): JudgeContext {
    const { resolution } = this.#context;
    return { policy: this.#policy[transaction], resolution, paramTypes, server: this.#server };
  }

  #cached(sql: string, here: JudgeContext): Judged | null {
    const judged = this.#judge.cached(sql, here);
    const knowing = judged === null ? null : this.#knowing(judged, here);
    return knowing === null ? judged : this.#judge.cached(sql, knowing);
  }

  async #judged(sql: string, here: JudgeContext, fresh = false): Promise<Judged> {
    const judged = await this.#judge.judge(sql, here, { fresh });
    const knowing = this.#knowing(judged, here);
    return knowing === null ? judged : this.#judge.judge(sql, knowing);
  }

  /** The owner has written rows that the statement compares with tagged columns: it is judged with that. */
  #knowing({ facts }: Judged, { resolution, ...rest }: JudgeContext): JudgeContext | null {
    if (facts?.handed === undefined) return null;
    const before = resolution.written ?? [];
    const written = this.#judge.written.among(rest.policy.owner, facts.handed);
    if (written.every((name) => before.includes(name))) return null;
    return { ...rest, resolution: { ...resolution, written: [...before, ...written] } };
  }

  /** Texts that run when this one does. `inner`: it is itself run by name, before or after who knows what else that is. */
  #reached(facts: Facts | null, own: Own = new Map(), inner = false): Reached {
    const texts = new Map<string, readonly number[]>();
    let exposes = false;
    for (const { effects } of facts?.statements ?? []) {
      for (const effect of effects) {
        if (effect.kind === 'prepare') {
          own.set(effect.name, [...(own.get(effect.name) ?? []), effect.sql]);
          if (inner) texts.set(effect.sql, NONE);
        }
        if (effect.kind === 'execute') {
          const here = own.get(effect.name) ?? [];
          const there = this.#statements.candidates(effect.name);
          if (here.length + there.length === 0) return { kind: 'no-statement', name: effect.name };
          const { explained = '' } = effect;
          for (const sql of here) texts.set(explained + sql, NONE);
          for (const one of there) texts.set(explained + one.sql, one.paramTypes);
        }
        if (effect.kind === 'fetch')
          for (const portal of this.#portals.candidates(effect.name)) {
            exposes ||= portal.exposes;
            if (portal.declared !== null) texts.set(portal.declared, NONE);
            else if (portal.prepared !== null && portal.approval?.spent !== true)
              texts.set(portal.prepared.sql, portal.prepared.paramTypes);
          }
      }
    }
    return { kind: 'texts', texts: [...texts], exposes };
  }
}

const byName = (facts: Facts | null): boolean => facts?.statements.some(reachesByName) ?? false;

/** The first setting of the string that the allow-list refuses. */
export function refusedSetting(
  it: Plan,
  trusted: boolean,
  custom: readonly string[],
): { readonly name: string; readonly why: string } | null {
  for (const { facts } of it.judged)
    for (const { settings } of facts?.statements ?? [])
      for (const change of settings) {
        if (change.form === 'alter-role') continue;
        const why = refuseSetting(change, trusted, custom);
        if (why !== null) return { name: change.name, why };
      }
  return null;
}

/** `SHOW holdpoint.requests` and nothing else. */
export function asksForRequests(it: Plan): boolean {
  const [only, ...more] = it.judged[0]?.facts?.statements ?? [];
  return (
    only !== undefined &&
    more.length === 0 &&
    only.effects.some((effect) => effect.kind === 'show' && effect.name === 'holdpoint.requests')
  );
}
