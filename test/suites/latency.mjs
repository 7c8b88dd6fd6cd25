// How soon a tap in Slack lets the statement go, and what Slack sees of many requests at once; prints the figures.
//
//   node test/suites/latency.mjs [--taps 100] [--requests 500]
//
// Slack takes one post a second: 500 cards need more than eight minutes.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    taps: { type: 'string', default: '100' },
    requests: { type: 'string', default: '500' },
  },
});
const vitest = fileURLToPath(new URL('../../node_modules/vitest/vitest.mjs', import.meta.url));
const child = spawn(
  process.execPath,
  [vitest, 'run', 'test/e2e/rates.test.ts', '--disable-console-intercept'],
  {
    cwd: fileURLToPath(new URL('../..', import.meta.url)),
    stdio: 'inherit',
    env: { ...process.env, HP_SAMPLES: values.taps, HP_REQUESTS: values.requests },
  },
);
child.on('exit', (code) => {
  process.exitCode = code ?? 1;
});
