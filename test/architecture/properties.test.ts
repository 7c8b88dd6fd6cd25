/** Random values are drawn in one way only, which bounds the time it takes and notes the seed (test/support/property.ts). */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { root } from './source.ts';

const HELPER = 'test/support/property.ts';
/** Stands in for the helper where mutants are judged, in processes that are stopped when they take too long. */
const MUTANTS = 'test/suites/mutate.mjs';
/** Another name for the package, or a part of it taken alone, could be called unseen. */
const IMPORT = /^import fc from 'fast-check';$/m;
const CHECKS = /\bfc\s*\.\s*(assert|check|configureGlobal|resetConfigureGlobal)\b|\bfc\s*\[/;

function escapes(text: string): boolean {
  const mentions = text.match(/['"]fast-check['"]/g)?.length ?? 0;
  return mentions > 1 || (mentions === 1 && !IMPORT.test(text)) || CHECKS.test(text);
}

it('every property is checked within a time limit, with a seed that is noted', () => {
  const files = ['test', 'bench', 'src'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .map((path) => join(folder, path))
      .filter((path) => /\.(ts|mjs)$/.test(path)),
  );
  const wild = files.filter(
    (path) =>
      path !== HELPER &&
      path !== MUTANTS &&
      path !== 'test/architecture/properties.test.ts' &&
      escapes(readFileSync(join(root, path), 'utf8')),
  );
  expect(wild, `use holds or holdsAsync of ${HELPER}`).toEqual([]);
  expect(readFileSync(join(root, HELPER), 'utf8')).toMatch(CHECKS);
});

it.each([
  "import fc from 'fast-check';\nfc.assert(p);",
  "import fc from 'fast-check';\nawait fc\n  .check(p);",
  "import fc from 'fast-check';\nfc['assert'](p);",
  "import { assert } from 'fast-check';",
  "import * as fc from 'fast-check';",
  "import fc, { assert } from 'fast-check';",
  "import fc from 'fast-check';\nimport { assert } from 'fast-check';",
  "const { assert } = await import('fast-check');",
])('sees %j', (text) => expect(escapes(text)).toBe(true));

it('lets values be drawn', () =>
  expect(
    escapes("import fc from 'fast-check';\nholds(fc.property(fc.nat(), f));\nfc.sample(fc.nat());"),
  ).toBe(false));
