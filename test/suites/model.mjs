// Random sequences of messages, said to PostgreSQL itself and through the gateway; or random lives of requests: many of them.
//
//   node test/suites/model.mjs [--runs 100000] [--seed N] [--held | --approvals]
//
// With --held: through the gateway alone, with statements that wait for somebody. With --approvals: requests on two desks and one store.
//
// Prints its progress and the seed. The first sequence that reads differently is made smaller and printed so that it can be run again; ends with 1.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '100000' },
    seed: { type: 'string' },
    held: { type: 'boolean' },
    approvals: { type: 'boolean' },
  },
});
const seed = values.seed ?? String(Date.now() % 1_000_000);
console.log(`${values.runs} runs, seed ${seed}`);
const file = values.approvals
  ? 'test/approvals/model.test.ts'
  : `test/gateway/model${values.held ? '-held' : ''}.test.ts`;
const here = fileURLToPath(new URL('../..', import.meta.url));
const vitest = fileURLToPath(new URL('../../node_modules/vitest/vitest.mjs', import.meta.url));
const child = spawn(process.execPath, [vitest, 'run', file, '--disable-console-intercept'], {
  cwd: here,
  stdio: 'inherit',
  env: { ...process.env, HP_RUNS: values.runs, HP_SEED: seed },
});
child.on('exit', (code) => {
  process.exitCode = code ?? 1;
});
