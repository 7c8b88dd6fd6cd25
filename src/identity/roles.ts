/**
 * Who may do what in the console (DESIGN.md 13). Worked out anew at each request from the configuration of now and what a login
 * proved: whoever is named no more, or in a group that counts no more, has lost the role already.
 */
import type { ApproverRecord, ProvenLogin } from './types.ts';

/** Requester: whoever is logged in. */
export const ROLES = ['requester', 'approver', 'auditor', 'admin'] as const;
export type Role = (typeof ROLES)[number];
/** Groups that give a role. Where a role has none, the named approvers hold it. */
export type RoleGroups = Readonly<Partial<Record<Exclude<Role, 'requester'>, readonly string[]>>>;

export interface Person extends ApproverRecord {
  /** `issuer|subject` of a login by OIDC: another key of the same person, never to be told apart from `id`. */
  readonly subject: string | null;
  readonly roles: ReadonlySet<Role>;
  /** Through a group of the role admin. Named approvers without it change policies only as identity.policy_admins. */
  readonly editsPolicy: boolean;
}

export interface Directory {
  /** One of the named approvers. */
  named(id: string): Person | null;
  /** null: the login is of an issuer or client that is configured no more. */
  loggedIn(login: ProvenLogin): Person | null;
}

export interface DirectoryOptions {
  readonly approvers: readonly ApproverRecord[];
  readonly roles: RoleGroups;
  /** Approver.id of identity.policy_admins. */
  readonly policyAdmins: ReadonlySet<string>;
  /** `issuer client_id` of the login that is configured; null: none is. */
  readonly login: string | null;
}

/** Which login a session came from: another client of the same issuer may be for other people. */
export const loginKey = (issuer: string, clientId: string): string => `${issuer} ${clientId}`;

export function createDirectory(options: DirectoryOptions): Directory {
  const { approvers, roles, policyAdmins } = options;

  function person(who: ApproverRecord, subject: string | null, isNamed: boolean): Person {
    const through = (role: keyof RoleGroups) =>
      (roles[role] ?? []).some((group) => who.groups.includes(group));
    const holds = (role: keyof RoleGroups) => (roles[role] === undefined ? isNamed : through(role));
    const held = new Set<Role>(['requester']);
    // A named approver approves whatever the groups say: identity.approvers names people, console.roles adds groups.
    if (isNamed || through('approver')) held.add('approver');
    if (holds('auditor')) held.add('auditor');
    if (holds('admin') || (isNamed && policyAdmins.has(who.id))) held.add('admin');
    return { ...who, subject, roles: held, editsPolicy: through('admin') };
  }

  return {
    named(id) {
      const found = approvers.find((one) => one.id === id);
      return found === undefined ? null : person(found, null, true);
    },
    loggedIn(login) {
      if (options.login === null || options.login !== loginKey(login.issuer, login.clientId)) return null;
      const subject = `${login.issuer}|${login.subject}`;
      const { email } = login;
      const named = email === null ? undefined : approvers.find((one) => one.email === email);
      if (named !== undefined) {
        const groups = [...new Set([...named.groups, ...login.groups])];
        return person({ ...named, groups }, subject, true);
      }
      const id = email ?? subject;
      return person({ id, name: login.name, email, slackId: null, groups: login.groups }, subject, false);
    },
  };
}
