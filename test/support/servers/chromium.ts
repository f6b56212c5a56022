/** A real browser, if the machine has one: `chromium` of Debian, or one installed under another usual name. */
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { TestContext } from 'node:test';
import { type BrowserContext, chromium, type Page } from 'playwright-core';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

/** The path of the browser; null if it does not exist. */
export function findChromium(): string | null {
  const folders = (process.env.PATH ?? '').split(delimiter);
  const paths = NAMES.flatMap((name) => folders.map((folder) => join(folder, name)));
  return paths.find((path) => existsSync(path)) ?? null;
}

export const WITHOUT_BROWSER =
  findChromium() === null && 'no Chromium on this machine (apt-get install chromium): nothing to show the page in';

export interface Visit {
  context: BrowserContext;
  page: Page;
  /** Script errors, violations of the content security policy and requests to other hosts. Must be empty. */
  faults: string[];
}

/** A host name of this machine that browsers do not treat as local, so its pages over plain HTTP are not a secure context. */
export const ELSEWHERE = 'files.test';

/** Opens a page in a new browser, which is closed after the test. */
export async function visit(t: TestContext, url: string): Promise<Visit> {
  const args = ['--no-sandbox', `--host-resolver-rules=MAP ${ELSEWHERE} 127.0.0.1`];
  const browser = await chromium.launch({ executablePath: findChromium() ?? '', args });
  t.after(() => browser.close());
  const context = await browser.newContext({ acceptDownloads: true });
  // A busy machine may be slow.
  context.setDefaultTimeout(120_000);
  const page = await context.newPage();
  const faults: string[] = [];
  page.on('pageerror', (error) => faults.push(String(error)));
  page.on('console', (message) => {
    // The browser also logs replies with an error status; these are expected.
    const refused = message.text().startsWith('Failed to load resource');
    if ((message.type() === 'error' && !refused) || /content security policy/i.test(message.text()))
      faults.push(message.text());
  });
  const { origin } = new URL(url);
  context.on('request', (request) => {
    const requested = new URL(request.url());
    if (/^https?:$/.test(requested.protocol) && requested.origin !== origin)
      faults.push(`a request to a different host: ${requested}`);
  });
  await page.goto(url);
  return { context, page, faults };
}
