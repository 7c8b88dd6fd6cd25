/**
 * Globs over dotted names. `*` stands for any characters inside one part. A glob with fewer parts than the name is read from the
 * right (`email` = `*.*.email`). A part in double quotes may hold dots and is taken as written: `"my.schema".orders`.
 */
export type GlobParts = readonly string[];

/** Parts of a glob, or a sentence that says what is wrong with it. */
export function splitGlob(glob: string, max: number): GlobParts | string {
  const parts: string[] = [];
  let at = 0;
  while (at <= glob.length) {
    let part = '';
    if (glob[at] === '"') {
      at += 1;
      for (;;) {
        const end = glob.indexOf('"', at);
        if (end < 0) return 'has a double quote that is not closed';
        part += glob.slice(at, end);
        at = end + 1;
        if (glob[at] !== '"') break;
        part += '"';
        at += 1;
      }
    } else {
      const end = glob.indexOf('.', at);
      part = glob.slice(at, end < 0 ? glob.length : end);
      at += part.length;
    }
    if (part === '') return 'has an empty part';
    parts.push(part);
    if (at === glob.length) break;
    if (glob[at] !== '.') return 'has characters after a closing quote';
    at += 1;
  }
  if (parts.length > max) return `has ${parts.length} parts, at most ${max} make sense here`;
  return parts;
}

/** Linear in practice, quadratic at worst (names and globs are short): no regular expression is built from policy text. */
export function matchesText(glob: string, text: string): boolean {
  let g = 0;
  let t = 0;
  let star = -1;
  let resume = 0;
  while (t < text.length) {
    if (g < glob.length && glob[g] === '*') {
      star = g;
      g += 1;
      resume = t;
    } else if (g < glob.length && glob[g] === text[t]) {
      g += 1;
      t += 1;
    } else if (star >= 0) {
      g = star + 1;
      resume += 1;
      t = resume;
    } else {
      return false;
    }
  }
  while (glob[g] === '*') g += 1;
  return g === glob.length;
}

/**
 * Which way to err. `any`: for what restricts, so case does not matter and an unresolved part (null) may be anything.
 * `all`: for what permits, so case matters and an unresolved part matches nothing but `*`-less absence.
 */
export type Leaning = 'restrict' | 'permit';

/** A glob has at most as many parts as the name (`splitGlob`). */
export function matchesName(glob: GlobParts, name: readonly (string | null)[], leaning: Leaning): boolean {
  const offset = name.length - glob.length;
  if (leaning === 'permit' && name.some((part) => part === null)) return false;
  return glob.every((pattern, index) => {
    const part = name[offset + index];
    if (part === null || part === undefined) return leaning === 'restrict';
    return leaning === 'restrict'
      ? matchesText(pattern.toLowerCase(), part.toLowerCase())
      : matchesText(pattern, part);
  });
}

/** Globs over plain words (targets, owners, agents, groups): case does not matter, dots mean nothing. */
export function matchesWord(glob: string, word: string): boolean {
  return matchesText(glob.toLowerCase(), word.toLowerCase());
}
