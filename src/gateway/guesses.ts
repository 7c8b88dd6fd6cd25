/**
 * Statements that compare tagged columns with constants pass one by one, and yet enough of them guess a value that none of them shows. They are counted
 * by owner, and so are those which a unique index, an exclusion constraint or a foreign key refuses, for it compares as well; so many within so
 * long are an alert, told once until it has been quiet for as long.
 */
import { randomBytes } from 'node:crypto';
import type { Requester } from '../approvals/types.ts';
import type { Identity } from '../identity/types.ts';
import { requesterOf } from './draft.ts';
import { type Plan, statementsOf, verbOf } from './plan.ts';
import type { Target } from './types.ts';

/** Of the latest, so many are looked at for the words. */
const LATEST = 50;
const SHOWN = 5;
const MAX_OWNERS = 5000;
/** Alerts of one process: each is a write to the store. */
const MAX_A_MINUTE = 10;

export interface GuessAlert {
  readonly id: string;
  /** Of the owner, with all their agents. */
  readonly key: string;
  readonly about: 'guesses';
  readonly requester: Requester;
  readonly count: number;
  readonly since: number;
  readonly at: number;
  readonly lines: readonly string[];
}

export interface Guesses {
  /** A statement of theirs compares tagged columns with constants or bind values, and nobody approved it. */
  note(identity: Identity, target: Target, plan: Plan): void;
}

interface Counter {
  count: number;
  since: number;
  readonly latest: { readonly plan: Plan; readonly target: Target }[];
}

export function createGuesses(options: {
  readonly count: number;
  readonly withinMs: number;
  readonly now: () => number;
  readonly log: { warn(details: object, message: string): void };
  readonly onAlert: (alert: GuessAlert) => Promise<unknown>;
}): Guesses {
  const { count: most, log, now, onAlert, withinMs } = options;
  const counters = new Map<string, Counter>();
  let told = { minute: 0, count: 0 };

  function mayTell(at: number): boolean {
    const minute = Math.floor(at / 60_000);
    if (told.minute !== minute) told = { minute, count: 0 };
    told.count += 1;
    return told.count <= MAX_A_MINUTE;
  }

  function tell(key: string, identity: Identity, { count, since, latest }: Counter, at: number): void {
    if (!mayTell(at)) return;
    const requester = requesterOf(identity);
    log.warn({ about: 'guesses', owner: requester.ownerId, count }, 'many comparisons with tagged columns');
    const lines = [...new Set(latest.map(wordsOf))].slice(-SHOWN);
    const id = `AL-${randomBytes(8).toString('hex')}`;
    onAlert({ id, key: `guesses ${key}`, about: 'guesses', requester, count, since, at, lines }).catch(() =>
      log.warn({ about: 'guesses' }, 'an alert about comparisons could not be kept'),
    );
  }

  return {
    note(identity, target, plan) {
      const key = identity.owner?.id ?? identity.subject;
      const at = now();
      let counter = counters.get(key);
      if (counter === undefined || at - counter.since > withinMs) {
        counter = { count: 0, since: at, latest: [] };
        // Re-inserted, so that the one that began longest ago goes first.
        counters.delete(key);
        const [first] = counters.keys();
        if (counters.size >= MAX_OWNERS && first !== undefined) counters.delete(first);
        counters.set(key, counter);
      }
      counter.latest[counter.count % LATEST] = { plan, target };
      counter.count += 1;
      if (counter.count < most) return;
      counters.delete(key);
      tell(key, identity, counter, at);
    },
  };
}

/** `SELECT compares public.customers.ssn on production/shop`. No constant is in it. */
function wordsOf({ plan, target }: Counter['latest'][number]): string {
  const all = statementsOf(plan).flatMap(({ columns }) => columns);
  const compared = all.filter(({ use }) => use === 'predicate');
  const columns = compared.length > 0 ? compared : all;
  const names = [
    ...new Set(columns.map(({ schema, relation, column }) => `${schema}.${relation}.${column}`)),
  ];
  const more = names.length > 3 ? ` and ${names.length - 3} more` : '';
  const what = names.length === 0 ? 'keys' : `${names.slice(0, 3).join(', ')}${more}`;
  return `${verbOf(plan)} compares ${what} on ${target.environment}/${target.name}`;
}
