import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    reporters: ['default', './test/support/test-log.mjs'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    maxWorkers: 2,
    // The machines are shared: an awaited state may take a while, it may not take a sleep.
    expect: { poll: { timeout: 20_000, interval: 25 } },
    env: { NODE_ENV: 'test' },
  },
});
