/** Which columns carry a tag (DESIGN.md 6): by the policy's globs, by `COMMENT ON COLUMN … IS 'pii:email'`. */
import { type GlobParts, matchesName, splitGlob } from './glob.ts';
import { type Policy, WATCHED_TAG } from './types.ts';

export interface TagLookup {
  (schema: string, relation: string, column: string, comment: string | null): string | null;
  /** The policy says that it holds no personal data. Absent: it says so of none. */
  readonly untagged?: (schema: string, relation: string, column: string) => boolean;
}

/** What tagging needs of a policy: plain data, so that it crosses to the parser worker. */
export interface TagSource {
  readonly pii: readonly { readonly columns: readonly string[]; readonly tag: string }[];
  readonly untagged: readonly string[];
  readonly watched: readonly string[];
}

export function tagSource(policy: Policy): TagSource {
  const watched = policy.rules
    .filter((rule) => rule.effect !== 'allow')
    .flatMap((rule) => rule.match.columns ?? []);
  return { pii: policy.pii, untagged: policy.untagged, watched: [...new Set(watched)] };
}

export function createTagLookup(policy: Policy): TagLookup {
  return tagLookup(tagSource(policy));
}

/** Unless the policy says that it is untagged, the first `pii` entry that matches names the tag, then the comment; then columns that only a rule names. */
export function tagLookup(source: TagSource): TagLookup {
  const named = source.pii.map(({ columns, tag }) => ({ tag, globs: columns.map(parts) }));
  const watched = source.watched.map(parts);
  // What takes a tag away must be meant: in its exact case, and one that cannot be read takes none.
  const without = source.untagged.flatMap((glob) => {
    const split = splitGlob(glob, 3);
    return typeof split === 'string' ? [] : [split];
  });
  const untagged = (...name: readonly string[]): boolean =>
    without.some((glob) => matchesName(glob, name, 'permit'));
  const tagOf = (schema: string, relation: string, column: string, comment: string | null): string | null => {
    const name = [schema, relation, column];
    if (!untagged(...name)) {
      for (const { tag, globs } of named) {
        if (globs.some((glob) => matchesName(glob, name, 'restrict'))) return tag;
      }
      const commented = comment === null ? null : tagOfComment(comment);
      if (commented !== null) return commented;
    }
    return watched.some((glob) => matchesName(glob, name, 'restrict')) ? WATCHED_TAG : null;
  };
  return Object.assign(tagOf, { untagged });
}

/** `pii`, `pii:email`, `PII: e-mail address of the customer` anywhere in a comment. An unreadable label still tags. */
function tagOfComment(comment: string): string | null {
  const found = /(?:^|[^\p{L}\p{N}_])pii(?:\s*:\s*([a-z0-9_-]{1,63}))?(?![\p{L}\p{N}_])/iu.exec(
    comment.slice(0, 10_000),
  );
  if (found === null) return null;
  const label = found[1]?.toLowerCase();
  return label === undefined || label === WATCHED_TAG ? 'pii' : label;
}

function parts(glob: string): GlobParts {
  const split = splitGlob(glob, 3);
  // The schema refused such globs; if one gets here, everything is tagged rather than nothing.
  return typeof split === 'string' ? ['*'] : split;
}
