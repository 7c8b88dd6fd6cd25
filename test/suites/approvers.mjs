// Fifty approvers at once on one request, through Slack, console, API and command line: many times.
//
//   node test/suites/approvers.mjs [--rounds 1000]
//
// Each round needs about a second and a half: Slack takes one card a second.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '1000' } } });
const vitest = fileURLToPath(new URL('../../node_modules/vitest/vitest.mjs', import.meta.url));
const child = spawn(
  process.execPath,
  [vitest, 'run', 'test/e2e/approvers.test.ts', '--disable-console-intercept'],
  {
    cwd: fileURLToPath(new URL('../..', import.meta.url)),
    stdio: 'inherit',
    env: { ...process.env, HP_ROUNDS: values.rounds },
  },
);
child.on('exit', (code) => {
  process.exitCode = code ?? 1;
});
