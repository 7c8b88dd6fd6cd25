/** The command's entry; bin/holdpoint.mjs imports it. */
import { readFileSync } from 'node:fs';
import { environment } from '../config.ts';
import { run } from './program.ts';

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};
// `holdpoint sessions | head` closes the pipe early: that is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

process.exitCode = await run(
  process.argv.slice(2),
  {
    env: environment(),
    cwd: process.cwd(),
    stdin: process.stdin,
    out: (text) => void process.stdout.write(`${text}\n`),
    err: (text) => void process.stderr.write(`${text}\n`),
    now: Date.now,
  },
  version,
);
