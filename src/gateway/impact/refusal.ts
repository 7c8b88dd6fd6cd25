/**
 * Would the server read the statement at all? Its grammar is known here, its names, types and calls are not all: nobody is asked to approve
 * what it is certain to refuse. Asked by a Parse on a connection of its own (probe.ts), so that nothing of the statement runs.
 */
import type { Subject } from '../draft.ts';
import { statementsOf } from '../plan.ts';
import type { Judge, Target, UpstreamLogin } from '../types.ts';
import { literal, type Probe, type Said, withProbe } from './probe.ts';

export interface Asker {
  readonly target: Target;
  readonly login: UpstreamLogin;
  readonly judge: Judge;
  /** null: not known. */
  readonly searchPath: readonly string[] | null;
  /** Of the session, those that give the same text another meaning. */
  readonly settings: ReadonlyMap<string, string>;
  /** The session sees what another connection would not. */
  readonly apart: boolean;
}

const STATEMENT_MS = 1_000;
const LOCK_MS = 100;
/** With the login. */
const WHOLE_MS = 2_500;
const MAX_LENGTH = 16 * 1024;

/** Of each target: beyond so many at once nothing is asked, and the card comes. */
const AT_ONCE = 4;
const busy = new Map<string, number>();

/** The server's error; null: it has none, or cannot or must not be asked. Never rejects. */
export async function refusal(subject: Subject, asker: Asker): Promise<Said | null> {
  const { target, login, searchPath, settings } = asker;
  const { sql } = subject.plan;
  if (asker.apart || searchPath === null || target.protocol === 'trusted') return null;
  if (asker.judge.catalog()?.unfamiliar !== undefined) return null;
  if (subject.plan.judged.length !== 1 || statementsOf(subject.plan).length !== 1) return null;
  // Names in quotes may be written otherwise than they are; what is temporary is the session's own.
  if (sql.length > MAX_LENGTH || /u&"|""|pg_temp/i.test(sql)) return null;
  const options = {
    ...{ target, login, searchPath, settings },
    ...{ timeoutMs: STATEMENT_MS, lockMs: LOCK_MS, wholeMs: WHOLE_MS },
  };
  const others = busy.get(target.name) ?? 0;
  if (others >= AT_ONCE) return null;
  busy.set(target.name, others + 1);
  try {
    return await withProbe(options, async (probe) => {
      if (await checksValues(probe, sql)) return null;
      const said = await probe.parse(sql, subject.paramTypes);
      return said !== null && ABOUT_TEXT.test(said.code) ? said : null;
    });
  } catch {
    return null;
  } finally {
    busy.set(target.name, (busy.get(target.name) ?? 1) - 1);
  }
}

/** What it says of the text itself: not of locks, time, rights (another role may have them) or of its own state. */
const ABOUT_TEXT = /^(?:42(?!501)...|22...|0A000|3F000|3D000)$/;

/**
 * Literals become values while a statement is parsed: those of users' domains, ranges and composite types, and what is made of such, run
 * checks and functions of users. Where the text has the name of such a type, or of a relation, function or operator that has to do with
 * one, nothing is asked; nor where users' functions read the modifiers of types, which literals of `regtype` may name in any way.
 */
async function checksValues(probe: Probe, sql: string): Promise<boolean> {
  const answer = await probe.own(`WITH RECURSIVE part(held, whole) AS (
    SELECT t.typelem, t.oid FROM pg_catalog.pg_type t WHERE t.typelem >= 16384
    UNION ALL SELECT a.atttypid, c.reltype FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
      WHERE a.atttypid >= 16384 AND a.attnum > 0 AND c.reltype <> 0
  ), checked(type) AS (
    SELECT t.oid FROM pg_catalog.pg_type t LEFT JOIN pg_catalog.pg_class c ON c.oid = t.typrelid
      WHERE t.oid >= 16384 AND (t.typtype IN ('d', 'r', 'm') OR c.relkind = 'c')
    UNION SELECT part.whole FROM checked JOIN part ON part.held = checked.type
  ), named(name) AS (
    SELECT t.typname FROM checked JOIN pg_catalog.pg_type t ON t.oid = checked.type
    UNION ALL SELECT e.typname FROM checked JOIN pg_catalog.pg_type t ON t.oid = checked.type JOIN pg_catalog.pg_type e ON e.oid = t.typelem
    UNION ALL SELECT p.proname FROM pg_catalog.pg_proc p WHERE p.oid >= 16384 AND
      (p.proargtypes::pg_catalog.oid[] || p.proallargtypes || p.prorettype) && ARRAY(SELECT type FROM checked)
    UNION ALL SELECT o.oprname FROM pg_catalog.pg_operator o
      WHERE o.oid >= 16384 AND ARRAY[o.oprleft, o.oprright, o.oprresult] && ARRAY(SELECT type FROM checked)
  ) SELECT EXISTS (SELECT FROM named WHERE pg_catalog.strpos(pg_catalog.lower(${literal(sql)}), pg_catalog.lower(name)) > 0)
    OR EXISTS (SELECT FROM pg_catalog.pg_type t JOIN pg_catalog.pg_proc p ON p.oid = t.typmodin JOIN pg_catalog.pg_language l ON l.oid = p.prolang
      WHERE l.lanname NOT IN ('c', 'internal'))`);
  return answer !== 'f';
}
