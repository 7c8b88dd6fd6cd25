/**
 * Pictures of each state of a card for the docs, of the payloads that Slack is sent: `node bin/build.mjs && node test/pictures/cards.mjs`.
 * Needs chromium on PATH (or CHROMIUM), and a font with colour emoji to look right.
 */
import { mkdirSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { page } from './slack-html.mjs';
import { STATES } from './states.mjs';

/** A phone, in points; twice as many pixels. */
const WIDTH = 390;
const MOST_BYTES = 100_000;

const folder = process.argv[2] ?? fileURLToPath(new URL('../../docs/pictures', import.meta.url));
mkdirSync(folder, { recursive: true });
const browser = await chromium.launch({
  executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium',
  args: ['--no-sandbox'],
});
try {
  for (const { name, messages, width = WIDTH } of STATES) {
    const path = `${folder}/card-${name}.png`;
    // The sharpest that is small enough.
    for (const deviceScaleFactor of [1.3, 1, 0.8]) {
      const tab = await browser.newPage({ viewport: { width, height: 100 }, deviceScaleFactor });
      await tab.setContent(page(messages, { width, names: { S0ONCALL1: 'db-oncall', U0ALICE01: 'alice' } }));
      await tab.screenshot({ path, fullPage: true });
      await tab.close();
      if (statSync(path).size < MOST_BYTES) break;
    }
    console.log(`${path} ${statSync(path).size}`);
  }
} finally {
  await browser.close();
}
