/**
 * Tying a Slack account to a person: begun in Slack, confirmed at the console by whoever is logged in there, finished in Slack by the
 * account that began. Two signed texts, ten minutes each. Whoever is tricked into opening somebody else's link can at worst be shown
 * the second text, which is of use to the one account that began and only when it is handed to them.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';

export interface SlackAccount {
  readonly teamId: string;
  readonly userId: string;
  /** As Slack shows it. */
  readonly name: string;
}
export interface LinkPerson {
  readonly id: string;
  readonly name: string;
}
export interface SlackLinking {
  /** Part of the address that the Slack account is given. */
  begin(account: SlackAccount): string;
  /** null: not ours, or too old. */
  read(begun: string): SlackAccount | null;
  /** What the person hands to Slack. null: as above. */
  confirm(begun: string, person: LinkPerson): string | null;
  /** The person, when this very account began it. */
  finish(confirmed: string, teamId: string, userId: string): LinkPerson | null;
}

const LIFETIME_MS = 10 * 60_000;
const MOST = 2000;

export function createSlackLinking(key: Buffer, now: () => number): SlackLinking {
  const mac = (purpose: string, text: string): Buffer =>
    createHmac('sha256', key).update(`${purpose}\0${text}`).digest();

  function seal(purpose: string, fields: readonly string[]): string {
    const body = Buffer.from(JSON.stringify([now() + LIFETIME_MS, ...fields])).toString('base64url');
    return `${body}.${mac(purpose, body).toString('base64url')}`;
  }
  function open(purpose: string, token: string): readonly string[] | null {
    const [body = '', sum = '', ...rest] = token.slice(0, MOST + 1).split('.');
    const given = Buffer.from(sum, 'base64url');
    const right = mac(purpose, body);
    if (token.length > MOST || rest.length > 0 || given.length !== right.length) return null;
    if (!timingSafeEqual(given, right)) return null;
    // Signed by us: it is what `seal` wrote.
    const [until, ...fields]: unknown[] = JSON.parse(Buffer.from(body, 'base64url').toString('utf8'));
    if (typeof until !== 'number' || until <= now()) return null;
    return fields.map(String);
  }
  function read(begun: string): SlackAccount | null {
    const [teamId, userId, name] = open('begin', begun) ?? [];
    if (teamId === undefined || userId === undefined || name === undefined) return null;
    return { teamId, userId, name };
  }

  return {
    begin: ({ teamId, userId, name }) => seal('begin', [teamId, userId, name.slice(0, 40)]),
    read,
    confirm(begun, person) {
      const account = read(begun);
      return account === null
        ? null
        : seal('confirm', [account.teamId, account.userId, person.id, person.name.slice(0, 80)]);
    },
    finish(confirmed, teamId, userId) {
      const [team, user, id, name] = open('confirm', confirmed) ?? [];
      if (id === undefined || name === undefined || team !== teamId || user !== userId) return null;
      return { id, name };
    },
  };
}
