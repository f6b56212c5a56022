/**
 * Takes screenshots of every page of the dashboard, in light and dark mode and at the width of a phone, with a real server and sample
 * data. Argument: the output directory; `screenshots` by default.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { chromium, type Page } from 'playwright-core';
import { compose } from '../src/compose/compose.ts';
import { encodeChunk } from '../src/protocol/chunk.ts';
import { loadConfig } from '../src/settings/load-config.ts';
import { signInTo } from './support/product/dashboard.ts';
import { sign } from './support/product/server.ts';
import { findChromium } from './support/servers/chromium.ts';

const ADMIN = { id: 'harbour-office', secret: 'the secret of the screenshots' };
const PAGES = [
  'files',
  'transfers',
  'tokens',
  'admin/clients',
  'admin/people',
  'admin/quotas',
  'admin/deliveries',
  'admin/audit',
  'admin/server',
];
const LOOKS = [
  { look: 'light', colorScheme: 'light', width: 1280, height: 800 },
  { look: 'dark', colorScheme: 'dark', width: 1280, height: 800 },
  { look: 'phone', colorScheme: 'light', width: 360, height: 740 },
] as const;

const folder = resolve(process.argv[2] ?? 'screenshots');
const executablePath = findChromium();
if (executablePath === null) throw new Error('no Chromium on this machine; install one (apt-get install chromium)');
await mkdir(folder, { recursive: true });
const dataDir = await mkdtemp(join(tmpdir(), 'lading-pictures-'));
const settings = {
  LADING_HOST: '127.0.0.1',
  LADING_PORT: '0',
  LADING_DATA_DIR: dataDir,
  LADING_ADMIN_ID: ADMIN.id,
  LADING_ADMIN_SECRET: ADMIN.secret,
  LADING_LOG_LEVEL: 'silent',
};
const app = await compose(loadConfig({}, settings).config, {});
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
try {
  const origin = await app.start();
  await fill(origin, sign(app, ADMIN.id, 'admin').headers);
  for (const { look, colorScheme, width, height } of LOOKS) {
    const page = await (await browser.newContext({ colorScheme, viewport: { width, height } })).newPage();
    await page.goto(`${origin}/`);
    await take(page, `sign-in-${look}`);
    await signInTo(page, ADMIN);
    for (const path of PAGES) {
      await page.goto(`${origin}/#/${path}`);
      await page.waitForLoadState('networkidle').catch(() => {});
      await take(page, `${path.replace('/', '-')}-${look}`);
    }
    await page.goto(`${origin}/#/files`);
    await page.getByRole('button', { name: 'notes.txt', exact: true }).click();
    await page.getByText('Grants').waitFor();
    await take(page, `file-${look}`);
  }
} finally {
  await browser.close();
  await app.close();
  await rm(dataDir, { recursive: true, force: true });
}

async function take(page: Page, name: string): Promise<void> {
  // Wait for content that loads after the page.
  await page.waitForTimeout(700);
  await page.screenshot({ path: join(folder, `${name}.png`) });
  console.log(join(folder, `${name}.png`));
}

/** Creates files, uploads with gaps, a token, clients, a person and a delivery target. */
async function fill(origin: string, headers: { authorization: string }): Promise<void> {
  const json = { ...headers, 'content-type': 'application/json' };
  const put = (name: string, body: Uint8Array, type: string) =>
    fetch(`${origin}/api/files/content/${encodeURIComponent(name)}`, {
      method: 'PUT',
      headers: { ...headers, 'content-type': type },
      body,
    });
  for (let camera = 1; camera <= 14; camera += 1)
    await put(`camera ${camera}/morning.raw`, randomBytes(1000 * camera), 'application/octet-stream');
  await put(
    'notes.txt',
    Buffer.from('Monday: all cameras are back.\nTuesday: the mast is down again.\n'),
    'text/plain',
  );
  await put('harbour.csv', Buffer.from('time,level\n08:00,1.9\n'), 'text/csv');
  for (const [name, starts] of [
    ['night recording.flac', [0, 300_000, 700_000]],
    ['mast 3.raw', [500_000]],
  ] as const) {
    for (const start of starts) {
      const query = new URLSearchParams({ filename: name, total_size: '1000000' });
      const body = encodeChunk(start, randomBytes(100_000));
      const type = { ...headers, 'content-type': 'application/octet-stream' };
      await fetch(`${origin}/api/files/upload?${query}`, { method: 'POST', headers: type, body });
    }
  }
  const post = (path: string, body: object) =>
    fetch(`${origin}${path}`, { method: 'POST', headers: json, body: JSON.stringify(body) });
  await post('/api/tokens', { scopes: ['read', 'write'], name: 'backup of the studio', expires_in: 86_400 * 30 });
  await post('/api/clients', { role: 'client', name: 'camera 7' });
  await post('/api/clients', { role: 'ops', name: 'control room' });
  const password = 'seven lamps over dim rivers';
  await post('/v1/user', { name: 'Operator', surname: 'One', email: 'one@example.org', password });
  await post('/api/deliveries/targets', { kind: 'webhook', url: 'https://example.org/hook' });
}
