/**
 * Everything the gateway says as a PostgreSQL error (docs/errors.md): precise inside, plain outside. One failure union, one exhaustive map.
 * MESSAGE is one line under 300 characters, because most MCP servers pass nothing else to the model (DESIGN.md 7). Never a data value.
 */
import type { ApprovalRequest } from '../approvals/types.ts';
import type { StatementFacts, Verdict } from '../policy/types.ts';
import type { Report } from './wire/build.ts';

export type Failure =
  | {
      readonly kind: 'pending';
      readonly request: ApprovalRequest;
      readonly where: string;
      readonly retryMs: number;
    }
  | { readonly kind: 'superseded'; readonly request: ApprovalRequest }
  | { readonly kind: 'denied'; readonly request: ApprovalRequest }
  | { readonly kind: 'expired'; readonly request: ApprovalRequest }
  | { readonly kind: 'withdrawn'; readonly request: ApprovalRequest }
  | { readonly kind: 'blocked'; readonly verdict: Verdict; readonly what: string }
  | { readonly kind: 'too-many'; readonly open: readonly string[] }
  | { readonly kind: 'reason-needed'; readonly request: ApprovalRequest }
  | { readonly kind: 'setting'; readonly name: string; readonly why: string }
  | { readonly kind: 'function-call' }
  /** The session only asks ahead of time. */
  | { readonly kind: 'ahead' }
  | { readonly kind: 'ahead-too-long'; readonly most: number }
  /** Held, and to be read alone would run functions of users. */
  | { readonly kind: 'not-read' }
  | { readonly kind: 'desk-unavailable' }
  | { readonly kind: 'not-recorded' }
  | { readonly kind: 'cancelled'; readonly requestId: string | null }
  | { readonly kind: 'no-statement'; readonly name: string }
  | { readonly kind: 'no-portal'; readonly name: string }
  | { readonly kind: 'too-many-names' }
  /** For a large message, among those that are on their way. */
  | { readonly kind: 'no-room' }
  /** What the server would say itself: to a malformed message, or to a name that it does not have. */
  | {
      readonly kind: 'as-server';
      readonly code: string;
      readonly message: string;
      readonly hint?: string | null;
      readonly position?: string | null;
    }
  | { readonly kind: 'internal' };

/** Ends the connection, hence FATAL. */
export type Ending =
  | { readonly kind: 'identity'; readonly standing: 'expired' | 'revoked' | 'suspended' }
  | { readonly kind: 'protocol'; readonly code: string; readonly message: string }
  | { readonly kind: 'login-failed' }
  /** The store, or what else a login needs, failed: says nothing about the credential. */
  | { readonly kind: 'login-unchecked' }
  | { readonly kind: 'login-late' }
  | { readonly kind: 'message-late' }
  | { readonly kind: 'token-in-clear' }
  | { readonly kind: 'tls-needed' }
  | { readonly kind: 'no-access'; readonly target: string }
  | { readonly kind: 'unknown-target'; readonly target: string }
  | { readonly kind: 'replication' }
  | { readonly kind: 'startup-setting'; readonly name: string }
  | { readonly kind: 'too-many-connections' }
  | { readonly kind: 'target-down'; readonly target: string; readonly why: string }
  | { readonly kind: 'target-lost'; readonly target: string }
  /** It is of another major version now. */
  | { readonly kind: 'target-changed'; readonly target: string }
  /** A pooler gave it another one. */
  | { readonly kind: 'backend-lost'; readonly target: string }
  | { readonly kind: 'not-recordable' }
  /** An agent's, that may hold locks. */
  | { readonly kind: 'idle-transaction' }
  | { readonly kind: 'encoding' }
  | { readonly kind: 'tripwire' }
  | { readonly kind: 'shutdown' };

const MAX_MESSAGE = 299;
/** One line, bounded; control characters of names and reasons never reach a terminal. */
export function line(text: string, max = MAX_MESSAGE): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out.
  const flat = text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, ' ').trim();
  return flat.length <= max ? flat : `${flat.slice(0, max - 1)}…`;
}

const error = (code: string, message: string): Report => ({
  severity: 'ERROR',
  code,
  message: line(message),
});
const fatal = (code: string, message: string): Report => ({
  severity: 'FATAL',
  code,
  message: line(message),
});

/** `DELETE on orders`, `DROP TABLE on a, b and 3 more`. */
export function describe(verb: string, relations: readonly string[]): string {
  const names = [...new Set(relations.map((name) => name.replace(/^public\./, '')))];
  const shown = names.slice(0, 3).map((name) => line(name, 40));
  const more = names.length > 3 ? ` and ${names.length - 3} more` : '';
  return line(shown.length === 0 ? verb : `${verb} on ${shown.join(', ')}${more}`, 120);
}
/** The same from the facts of the statement that carries the weight. */
export const relationNames = (facts: StatementFacts): string[] =>
  facts.relations
    .filter((relation) => !relation.indirect)
    .map((relation) => (relation.schema === null ? relation.name : `${relation.schema}.${relation.name}`));

const ruleText = (rules: readonly string[]): string =>
  `rule${rules.length === 1 ? '' : 's'} ${line(rules.slice(0, 3).join(', '), 50)}`;
/** The advice at the end matters most to a model: what is cut to stay within the bound is the reason. */
function withReason(head: string, reason: string, advice: string): string {
  const room = MAX_MESSAGE - head.length - advice.length - 4;
  const text = room < 10 ? '' : line(reason, room).replace(/\.$/, '');
  return `${head}${text === '' ? '' : `: ${text}`}. ${advice}`;
}
const seconds = (ms: number): string => `${Math.max(1, Math.round(ms / 1000))} s`;
const STOP = 'Not run. Do not retry or work around it; tell the user.';

export function toReport(failure: Failure): Report {
  switch (failure.kind) {
    case 'pending': {
      const { id, statement, rules } = failure.request;
      const what = line(describe(statement.verb, statement.relations), 90);
      return error(
        'HP001',
        `${id} pending approval in ${line(failure.where, 40)}: ${what} (${ruleText(rules)}). Not run. Resend exactly this statement in ${seconds(failure.retryMs)}; do not rewrite it.`,
      );
    }
    case 'superseded':
      return error(
        'HP001',
        `${failure.request.id} is awaited by a newer attempt of the same statement. Not run here. Look at that attempt's result; do not send it again meanwhile.`,
      );
    case 'denied': {
      const decision = failure.request.decisions.findLast((one) => one.effect === 'deny');
      const who = decision === undefined ? '' : ` by ${line(decision.approverName, 40)}`;
      const head = `${failure.request.id} denied${who}`;
      return error('42501', withReason(head, decision?.reason ?? '', STOP));
    }
    case 'expired':
      return error(
        '42501',
        `${failure.request.id} expired without a decision. Not run. Tell the user; resend it only if they still want it.`,
      );
    case 'withdrawn': {
      const note = failure.request.note === null ? '' : ` (${line(failure.request.note, 80)})`;
      return error(
        '42501',
        `${failure.request.id} was withdrawn${note}. Not run. Tell the user before sending it again.`,
      );
    }
    case 'blocked': {
      const head = `Blocked by policy: ${line(failure.what, 80)} (${ruleText(failure.verdict.rules)})`;
      return error('42501', withReason(head, failure.verdict.reason, STOP));
    }
    case 'too-many':
      if (failure.open.length === 0)
        return error(
          '42501',
          'Too many requests were made and taken back in the last ten minutes. Not run, no request made. Wait ten minutes before you ask again; tell the user.',
        );
      return error(
        '42501',
        `Too many requests wait for approval already (${line(failure.open.join(', '), 80)}). Not run, no request made. Wait until one of them is decided; SHOW holdpoint.requests lists them.`,
      );
    case 'reason-needed': {
      const { id, terms, rules } = failure.request;
      const what = terms.ticketRequired === true ? 'a reason that names a ticket' : 'a reason';
      return error(
        'HP001',
        `${id} needs ${what} before approvers are asked (${ruleText(rules)}). Not run. Resend exactly this statement with /* reason: ... */ in front of it, or after SET holdpoint.reason = '...'.`,
      );
    }
    case 'setting':
      return error(
        '42501',
        `Setting ${line(failure.name, 60)} ${failure.why}. Not run. Leave it as it is and go on without it.`,
      );
    case 'ahead':
      return error(
        '42501',
        'This session only asks for approval ahead of time (holdpoint.ahead is on). Not run. Send the script as one simple query, or connect without that setting.',
      );
    case 'ahead-too-long':
      return error(
        '54000',
        `More than ${failure.most} statements of the script need approval. Nothing was asked for, nothing run. Ask for it in several parts.`,
      );
    case 'function-call':
      return error(
        '42501',
        `The function-call message of the protocol is refused. Not run. Call the function with SELECT.`,
      );
    case 'not-read':
      return error(
        '42501',
        'This statement needs approval, and its literals run functions as soon as it is prepared. Not prepared, not run. Send it as a simple query, or with Bind and Execute in one message.',
      );
    case 'desk-unavailable':
      return error(
        'XX000',
        'This statement needs approval, but the approval desk cannot be reached. Not run. Tell the user; try again in a minute.',
      );
    case 'not-recorded':
      return error(
        'XX000',
        'The session recording cannot be written, so statements are refused. Not run. Tell the user; try again in a minute.',
      );
    case 'cancelled':
      return error(
        '57014',
        failure.requestId === null
          ? 'Canceled by the client before it was sent. Not run.'
          : `${failure.requestId} withdrawn: canceled by the client. Not run.`,
      );
    case 'no-statement':
      return error(
        '26000',
        failure.name === ''
          ? 'unnamed prepared statement does not exist'
          : `prepared statement "${line(failure.name, 64)}" does not exist`,
      );
    case 'no-portal':
      return error('34000', `portal "${line(failure.name, 64)}" does not exist`);
    case 'too-many-names':
      return error(
        '54000',
        'Too many prepared statements or portals in this session, or of this owner. Close some and send it again.',
      );
    case 'no-room':
      return error(
        '54000',
        'Too many large messages at once: there is no room for this one. Not run. Send it again when others are done, or in smaller parts.',
      );
    case 'as-server':
      return {
        ...error(failure.code, failure.message),
        hint: failure.hint ? line(failure.hint) : null,
        position: failure.position ?? null,
      };
    case 'internal':
      return error(
        'XX000',
        'Holdpoint could not judge this statement. Not run. Tell the user; the gateway log says why.',
      );
  }
}

export function toEnding(ending: Ending): Report {
  switch (ending.kind) {
    case 'identity':
      return fatal(
        '28000',
        `Your access has ended (${ending.standing}). Not run. Get a new credential and connect again.`,
      );
    case 'protocol':
      return fatal(ending.code, ending.message);
    case 'login-failed':
      return fatal(
        '28P01',
        'Login failed: the credential or token is wrong, expired or revoked. Get a new one and connect again.',
      );
    case 'login-unchecked':
      return fatal(
        '28000',
        'Holdpoint cannot check logins at the moment (its store may be unreachable). This says nothing about the credential: connect again in a minute.',
      );
    case 'login-late':
      return fatal('28000', 'Login took too long. Connect again.');
    case 'message-late':
      return fatal(
        '54000',
        'A message began and did not end in time. Not run. Connect again and send it whole.',
      );
    case 'token-in-clear':
      return fatal(
        '28000',
        'A token is accepted only over TLS. Connect with sslmode=require, or log in with a minted credential (user cred_...).',
      );
    case 'tls-needed':
      return fatal('28000', 'Connections from another host need TLS. Connect with sslmode=require.');
    case 'no-access':
      return fatal(
        '28000',
        `Your groups give no access to ${line(ending.target, 64)}. Ask its owner for access.`,
      );
    case 'unknown-target':
      return fatal(
        '3D000',
        `database "${line(ending.target, 64)}" does not exist: no target of that name is registered here`,
      );
    case 'replication':
      return fatal(
        '28000',
        'Replication connections are refused. Connect without the replication parameter.',
      );
    case 'startup-setting':
      return fatal(
        '42501',
        `Setting ${line(ending.name, 64)} is not accepted at startup. Connect without it.`,
      );
    case 'too-many-connections':
      return fatal('53300', 'Too many connections from here. Close some and connect again.');
    case 'target-down':
      return fatal(
        'XX000',
        `Target ${line(ending.target, 64)} cannot be used: ${line(ending.why, 160)}. Nothing was run.`,
      );
    case 'target-lost':
      return fatal(
        'XX000',
        `Target ${line(ending.target, 64)} ended the link. Unfinished statements may or may not have run: check before repeating them.`,
      );
    case 'target-changed':
      return fatal(
        'XX000',
        `Target ${line(ending.target, 64)} runs another major version of PostgreSQL now. The session ends; connect again.`,
      );
    case 'backend-lost':
      return fatal(
        'XX000',
        `A pooler in front of target ${line(ending.target, 64)} gave this session's backend to others, so the session ends. Tell the administrators of the gateway: it must keep sessions (docs/compatibility.md).`,
      );
    case 'not-recordable':
      return fatal(
        'XX000',
        'The session recording cannot be written, so the session is refused. Try again in a minute.',
      );
    case 'idle-transaction':
      return fatal(
        '25P03',
        'The transaction was left idle for too long while it may hold locks, so it was rolled back and the session ends. Connect again and do its work in one go.',
      );
    case 'encoding':
      return fatal(
        'XX000',
        'client_encoding or standard_conforming_strings changed behind the gateway. The session ends.',
      );
    case 'tripwire':
      return fatal(
        '42501',
        'The result has a protected column that was not expected, so it was stopped. Tell the user; the session ends.',
      );
    case 'shutdown':
      return fatal('XX000', 'The gateway is being stopped. Connect again in a minute.');
  }
}
