/**
 * Where a worker's entry file is. Node 20 cannot run .ts in a worker thread: under vitest (a module URL that ends with .ts) the
 * built file in dist/ is taken, which `npm test` makes first.
 */
export function workerUrl(entry: string, from: string): URL {
  if (!from.endsWith('.ts')) return new URL(entry, from);
  const here = from.lastIndexOf('/src/');
  return new URL(entry, `${from.slice(0, here)}/dist/${from.slice(here + '/src/'.length)}`);
}
