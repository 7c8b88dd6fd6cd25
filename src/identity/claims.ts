/** Claims of a token, read with bounds: they are shown on cards and pages, and recorded. */
import type { JWTPayload } from 'jose';

const MAX_GROUPS = 200;
const MAX_TEXT = 255;

/** One line of printable text within the bound, else null. */
export function text(value: unknown): string | null {
  if (typeof value !== 'string') return null;
  const clean = value.trim();
  if (clean === '' || clean.length > MAX_TEXT || /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(clean)) return null;
  return clean;
}

/** A claim by its name, or by a path such as `realm_access.roles` when no claim bears the whole name (`https://…/groups` may). */
export function claim(payload: JWTPayload, name: string): unknown {
  if (Object.hasOwn(payload, name)) return payload[name];
  let here: unknown = payload;
  for (const part of name.split('.')) {
    if (typeof here !== 'object' || here === null || !Object.hasOwn(here, part)) return undefined;
    here = (here as Record<string, unknown>)[part];
  }
  return here;
}

/** null: the claim is malformed or has too many entries; cutting it short could drop the group that restricts. */
export function groupsOf(value: unknown): readonly string[] | null {
  if (value === undefined || value === null) return [];
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  if (list.length > MAX_GROUPS) return null;
  const groups = list.map(text);
  return groups.every((group) => group !== null) ? [...new Set(groups)] : null;
}
