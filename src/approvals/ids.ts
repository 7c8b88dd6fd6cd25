import { randomInt } from 'node:crypto';

/** Read aloud without doubt: no 0 O, 1 I L, and no U, so that few words arise. */
const ALPHABET = '23456789ABCDEFGHJKMNPQRSTVWXYZ';

/** `HP-7Q2F`: to name a request, not to protect it. Longer when the short ones run out. */
export function randomId(length: number): string {
  let id = 'HP-';
  for (let index = 0; index < length; index += 1) id += ALPHABET[randomInt(ALPHABET.length)];
  return id;
}

/** As people type it. */
export function normaliseId(id: string): string {
  const typed = id.trim().toUpperCase().slice(0, 40);
  return /^HP-/u.test(typed) ? typed : `HP-${typed}`;
}
