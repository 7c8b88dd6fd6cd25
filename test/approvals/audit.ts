/**
 * What every request went through, read where nothing can be missed: triggers in the store's database write down each change of a row, whoever
 * made it. The rules below know nothing of the desk: they are what DESIGN.md 8 and invariants I1, I5 say of such a history.
 */
import type pg from 'pg';
import type { RequestState } from '../../src/approvals/types.ts';

export interface Change {
  readonly seq: number;
  readonly what: 'request' | 'outbox';
  readonly id: string;
  readonly version: number;
  readonly before: RequestState | null;
  readonly versionBefore: number | null;
  readonly state: RequestState;
  readonly session: string;
  readonly claim: string | null;
  /** Epoch milliseconds. */
  readonly expires: number;
  readonly grantExpires: number | null;
  readonly ended: number | null;
  readonly part: { lead: string; index: number; loose: boolean; changes: boolean } | null;
}

const AUDIT = `
CREATE TABLE audit (seq bigserial PRIMARY KEY, what text, owner text, id text, version int, before text, version_before int, state text, session text,
  claim text, expires float8, grant_expires float8, ended float8, bundle jsonb);
CREATE FUNCTION audit_request() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO audit (what, owner, id, version, before, version_before, state, session, claim, expires, grant_expires, ended, bundle)
  VALUES ('request', NEW.owner_id, NEW.id, NEW.version, CASE WHEN TG_OP = 'UPDATE' THEN OLD.state END, CASE WHEN TG_OP = 'UPDATE' THEN OLD.version END,
    NEW.state, NEW.session_id, NEW.claim, extract(epoch FROM NEW.expires_at) * 1000, extract(epoch FROM NEW.grant_expires_at) * 1000,
    extract(epoch FROM NEW.ended_at) * 1000, NEW.bundle);
  RETURN NULL; END $$;
CREATE TRIGGER audit AFTER INSERT OR UPDATE ON requests FOR EACH ROW EXECUTE FUNCTION audit_request();
CREATE FUNCTION audit_outbox() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO audit (what, owner, id, version) SELECT 'outbox', owner_id, id, NEW.version FROM requests WHERE id = NEW.request_id; RETURN NULL; END $$;
CREATE TRIGGER audit AFTER INSERT ON outbox FOR EACH ROW EXECUTE FUNCTION audit_outbox();`;

export const audit = (client: pg.Client) => client.query(AUDIT);

export type Auditor = (seq: number, owners: readonly string[]) => Promise<readonly Change[]>;

/** What was written down after `seq`. The lock waits for whoever writes: numbers are given before their commit, and a later one may be seen first. */
export const auditor =
  (client: pg.Client): Auditor =>
  async (seq, owners) => {
    await client.query('BEGIN; LOCK TABLE audit IN SHARE MODE');
    const { rows } = await client.query<Change>(
      `SELECT seq::int, what, id, version, before, version_before AS "versionBefore", state, session, claim, expires,
       grant_expires AS "grantExpires", ended, CASE WHEN (bundle->>'index')::int > 0 THEN bundle END AS part
     FROM audit WHERE seq > $1 AND owner = ANY ($2) ORDER BY audit.seq`,
      [seq, owners],
    );
    await client.query('COMMIT');
    return rows;
  };

const LEGAL: Readonly<Record<RequestState, readonly RequestState[]>> = {
  pending: ['pending', 'granted', 'denied', 'expired', 'withdrawn'],
  granted: ['granted', 'executing', 'lapsed', 'withdrawn'],
  executing: ['executing', 'executed', 'failed', 'unknown', 'granted', 'lapsed'],
  executed: [],
  failed: [],
  unknown: [],
  denied: [],
  expired: [],
  withdrawn: [],
  lapsed: [],
};
/** A lead never runs: what has become of its parts is said of it. */
const LEAD_ENDS: readonly RequestState[] = ['executed', 'failed', 'unknown'];

/** The history of one store so far; throws where it breaks a rule. */
export class History {
  readonly rows = new Map<string, Change>();
  readonly #outbox = new Set<string>();
  readonly #leads = new Set<string>();

  /** `notBefore`: what the clock said at least when these happened. */
  take(changes: readonly Change[], notBefore: number): void {
    for (const change of changes)
      if (change.what === 'outbox') this.#outbox.add(`${change.id} ${change.version}`);
      else if (change.part !== null) this.#leads.add(change.part.lead);
    for (const change of changes) if (change.what === 'request') this.#step(change, notBefore);
    // Of rows that change at once only their end is known: numbers are not the order of commits.
    for (const { id, state, part } of this.rows.values())
      if (state === 'granted' && part !== null && this.rows.get(part.lead)?.state !== 'granted')
        throw new Error(`${id}: a grant of a script that is none`);
  }

  #step(change: Change, notBefore: number): void {
    const { id, version, before, state, part } = change;
    const wrong = (why: string): never => {
      throw new Error(`${id} v${version} ${before ?? 'new'} → ${state}: ${why}`);
    };
    const last = this.rows.get(id);
    if (version !== (last?.version ?? 0) + 1) wrong(`after version ${last?.version}`);
    if (before === null) {
      if (version !== 1 || state !== 'pending') wrong('not begun as pending, version 1');
    } else {
      if (version !== (change.versionBefore ?? 0) + 1) wrong('the version did not grow by one');
      const ofLead = this.#leads.has(id) && before === 'granted' && LEAD_ENDS.includes(state);
      if (!LEGAL[before].includes(state) && !ofLead) wrong('no such transition');
    }
    if (part === null && !this.#outbox.has(`${id} ${version}`)) wrong('no outbox row');
    if (part !== null && this.#outbox.has(`${id} ${version}`)) wrong('a part has no card');
    if (state === 'expired' && (change.ended ?? 0) < change.expires) wrong('expired before its time');
    if (state === 'lapsed' && !this.#leads.has(id) && (change.ended ?? 0) < (change.grantExpires ?? Infinity))
      wrong('lapsed before its time');
    if (state === 'granted' && (change.grantExpires ?? Infinity) > change.expires)
      wrong('a grant outlives its request');
    if (before === 'granted' && state === 'executing') {
      if (change.claim === null) wrong('claimed without a secret');
      if ((change.grantExpires ?? 0) <= notBefore) wrong('claimed after its end');
      if (this.#leads.has(id)) wrong('a lead was claimed');
      if (part?.loose) this.#inTurn(change, part, wrong);
    }
    if (before === 'executing' && state === 'executing' && last !== undefined && change.claim !== last.claim)
      wrong('the clearance changed hands');
    this.rows.set(id, change);
  }

  #inTurn(change: Change, part: NonNullable<Change['part']>, wrong: (why: string) => never): void {
    for (const { part: other, state, session, id } of this.rows.values()) {
      if (other?.lead !== part.lead || other.index >= part.index || !other.changes) continue;
      if (state !== 'executed' && !(state === 'executing' && session === change.session))
        wrong(`claimed while ${id} is ${state}`);
    }
  }

  open(): readonly Change[] {
    return [...this.rows.values()].filter(({ state }) => LEGAL[state].length > 0);
  }
}
