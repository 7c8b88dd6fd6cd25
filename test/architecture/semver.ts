/** As much of npm's version ranges as `engines` fields use: comparators, ^, ~, x, hyphen ranges, || — pre-releases aside. */
type Version = readonly [number, number, number];

export function satisfies(version: string, range: string): boolean {
  const given = parts(version).map((part) => part ?? 0);
  const at: Version = [given[0] ?? 0, given[1] ?? 0, given[2] ?? 0];
  return range.split('||').some((set) => inSet(at, set.trim()));
}

function inSet(at: Version, set: string): boolean {
  const hyphen = /^(\S+)\s+-\s+(\S+)$/.exec(set);
  const normal = hyphen === null ? set : `>=${hyphen[1]} <=${hyphen[2]}`;
  const comparators = normal.replace(/([<>=^~]+)\s+/g, '$1').split(/\s+/);
  return comparators.every((one) => one === '' || one === '*' || holds(at, one));
}

function holds(at: Version, comparator: string): boolean {
  const match = /^(\^|~|>=|<=|>|<|=)?v?(\d+|x|\*)(?:\.(\d+|x|\*))?(?:\.(\d+|x|\*))?(?:[-+].*)?$/i.exec(
    comparator,
  );
  if (match === null) throw new Error(`Not a version range this check understands: ${comparator}`);
  const [major, minor, patch] = parts(match.slice(2, 5).join('.'));
  if (major === null || major === undefined) return true;
  const low: Version = [major, minor ?? 0, patch ?? 0];
  /** First version that an incomplete one does not stand for any more: 20 → 21.0.0, 20.19 → 20.20.0. */
  const next: Version =
    minor == null ? [major + 1, 0, 0] : patch == null ? [major, minor + 1, 0] : [major, minor, patch + 1];
  const above = compare(at, low) >= 0;
  switch (match[1] ?? '=') {
    case '>=':
      return above;
    case '>':
      return compare(at, next) >= 0;
    case '<':
      return !above;
    case '<=':
      return compare(at, next) < 0;
    case '~':
      return above && compare(at, minor == null ? [major + 1, 0, 0] : [major, minor + 1, 0]) < 0;
    case '^':
      return (
        above &&
        compare(
          at,
          major > 0 || minor == null
            ? [major + 1, 0, 0]
            : minor > 0 || patch == null
              ? [0, minor + 1, 0]
              : next,
        ) < 0
      );
    default:
      return above && compare(at, next) < 0;
  }
}

function parts(version: string): (number | null)[] {
  return version.split('.').map((part) => (/^\d+$/.test(part) ? Number(part) : null));
}

function compare(a: Version, b: Version): number {
  return a[0] - b[0] || a[1] - b[1] || a[2] - b[2];
}
