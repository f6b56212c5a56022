/** The main use cases through a real nginx with TLS and the files of deploy/, at the root of a host and below a path. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { chromium } from 'playwright-core';
import { Upload } from 'tus-js-client';
import { encodeChunk } from '../../../src/protocol/chunk.ts';
import { signInTo } from '../../support/product/dashboard.ts';
import { anna, cookiesOf } from '../../support/product/people.ts';
import { type Account, startServer } from '../../support/product/server.ts';
import { findChromium, WITHOUT_BROWSER } from '../../support/servers/chromium.ts';
import { startNginx } from '../../support/servers/nginx.ts';
import { runCli, temporaryFolder } from '../../support/servers/processes.ts';
import { without } from '../../support/servers/programs.ts';

// The test certificate is self-signed.
process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';

interface Site {
  /** The URL of the server for its clients, without a slash at the end. */
  base: string;
  origin: string;
  /** `/drive`, or empty. */
  prefix: string;
  client: Account;
  admin: Account;
  certificate: string;
}

const BYTES = randomBytes(300_000);

async function download({ base, client }: Site, name: string): Promise<Buffer> {
  const reply = await fetch(`${base}/api/files/download/${name}`, { headers: client.headers });
  assert.equal(reply.status, 200, name);
  return Buffer.from(await reply.arrayBuffer());
}

async function chunk(site: Site): Promise<void> {
  const url = `${site.base}/api/files/upload?filename=chunked&total_size=${BYTES.length}`;
  const headers = { ...site.client.headers, 'content-type': 'application/octet-stream' };
  const reply = await fetch(url, { method: 'POST', headers, body: encodeChunk(0, BYTES) });
  assert.equal(reply.status, 200, await reply.text());
  assert.ok(BYTES.equals(await download(site, 'chunked')));
}

/** Uploads in chunks, and in parallel partial uploads that are concatenated. */
async function tus(site: Site, filename: string, parallelUploads: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const upload: Upload = new Upload(BYTES, {
      endpoint: `${site.base}/files/`,
      headers: site.client.headers,
      metadata: { filename },
      ...(parallelUploads > 1 ? { parallelUploads } : { chunkSize: 100_000 }),
      retryDelays: null,
      onError: reject,
      onSuccess: () => {
        assert.ok(upload.url?.startsWith(`${site.base}/files/`), String(upload.url));
        resolve();
      },
    });
    upload.start();
  });
  assert.ok(BYTES.equals(await download(site, filename)));
}

async function resumable(site: Site): Promise<void> {
  const { client, base, origin, prefix } = site;
  const first = await fetch(`${base}/api/uploads`, {
    method: 'POST',
    headers: { ...client.headers, 'content-disposition': 'attachment; filename="resumed"', 'upload-complete': '?0' },
    body: BYTES.subarray(0, 1000),
  });
  assert.equal(first.status, 201, await first.text());
  const location = first.headers.get('location') ?? '';
  assert.ok(location.startsWith(`${prefix}/api/uploads/`), location);
  const last = await fetch(new URL(location, origin), {
    method: 'PATCH',
    headers: {
      ...client.headers,
      'content-type': 'application/partial-upload',
      'upload-offset': '1000',
      'upload-complete': '?1',
    },
    body: BYTES.subarray(1000),
  });
  assert.equal(last.status, 200, await last.text());
  assert.ok(BYTES.equals(await download(site, 'resumed')));
}

async function links({ base, client, admin, prefix }: Site): Promise<void> {
  const json = { 'content-type': 'application/json' };
  const made = await fetch(`${base}/api/files/share/chunked`, {
    method: 'POST',
    headers: { ...client.headers, ...json },
    body: '{}',
  });
  const { url } = (await made.json()) as { url: string };
  assert.ok(url.startsWith(`${base}/s/`), url);
  assert.ok(BYTES.equals(Buffer.from(await (await fetch(url)).arrayBuffer())));

  const metadata = await fetch(`${base}/.well-known/oauth-authorization-server`);
  const { issuer, token_endpoint: endpoint } = (await metadata.json()) as { issuer: string; token_endpoint: string };
  assert.equal(issuer, base);
  assert.equal(endpoint, `${base}/api/oauth/token`);

  const enrolled = await fetch(`${base}/api/clients`, {
    method: 'POST',
    headers: { ...admin.headers, ...json },
    body: '{"role":"client"}',
  });
  assert.ok(enrolled.headers.get('location')?.startsWith(`${prefix}/api/clients/`));
  const pages = await fetch(`${base}/api/tokens/dashboard`, { redirect: 'manual' });
  assert.equal(pages.headers.get('location'), `${prefix}/#/tokens`);
  const document = (await (await fetch(`${base}/openapi.json`)).json()) as { servers: { url: string }[] };
  assert.deepEqual(document.servers, [{ url: prefix === '' ? '/' : prefix }]);
}

/** Sends requests like a browser that sends only `Origin`. */
async function cookies({ base, origin, prefix }: Site): Promise<void> {
  const headers = { origin, 'content-type': 'application/json' };
  const person = { ...anna, email: `anna${prefix.slice(1)}@x.example` };
  const registered = await fetch(`${base}/v1/auth/registration`, {
    method: 'POST',
    headers,
    body: JSON.stringify(person),
  });
  assert.equal(registered.status, 201, await registered.text());
  const { email, password } = person;
  const login = await fetch(`${base}/v1/auth/login`, {
    method: 'POST',
    headers,
    body: JSON.stringify({ email, password }),
  });
  assert.equal(login.status, 200, await login.text());
  const set = login.headers.getSetCookie().join('\n');
  assert.match(set, new RegExp(`^access_token=.*Path=${prefix}/;.*Secure`, 'm'));
  assert.match(set, new RegExp(`^refresh_token=.*Path=${prefix}/v1/auth;.*Secure`, 'm'));
  const cookie = cookiesOf(login);
  const me = await fetch(`${base}/v1/auth/me`, { headers: { cookie } });
  assert.equal(me.status, 200);
  const refreshed = await fetch(`${base}/v1/auth/refresh`, {
    method: 'POST',
    headers: { ...headers, cookie },
    body: '{}',
  });
  assert.equal(refreshed.status, 200, await refreshed.text());
  const foreign = { ...headers, cookie, origin: 'https://stranger.example' };
  assert.equal((await fetch(`${base}/v1/auth/refresh`, { method: 'POST', headers: foreign, body: '{}' })).status, 403);
}

/** Proxy fields that clients send are ignored. */
async function forged({ base }: Site): Promise<void> {
  const headers = {
    'x-forwarded-for': '203.0.113.9',
    'x-forwarded-proto': 'http',
    'x-forwarded-host': 'evil.example',
    'x-forwarded-port': '1',
    'x-forwarded-prefix': '/evil',
    forwarded: 'for=203.0.113.9;proto=http;host=evil.example',
  };
  const metadata = await fetch(`${base}/.well-known/oauth-authorization-server`, { headers });
  assert.equal(((await metadata.json()) as { issuer: string }).issuer, base);
}

async function commandLine(t: TestContext, { base, client, certificate }: Site): Promise<void> {
  const cwd = await temporaryFolder(t);
  await writeFile(join(cwd, 'sent'), BYTES);
  const env = { LADING_CLIENT_ID: client.id, LADING_CLIENT_SECRET: client.secret, NODE_EXTRA_CA_CERTS: certificate };
  const lading = async (...args: string[]) => {
    const { code, stderr } = await runCli(t, ['--server', base, ...args], { cwd, env });
    assert.equal(code, 0, stderr);
  };
  await lading('upload', 'sent');
  await lading('download', 'sent', '-o', 'got');
  assert.ok(BYTES.equals(await readFile(join(cwd, 'got'))));
}

async function start(t: TestContext): Promise<(prefix: string) => Site> {
  const { port, client, admin } = await startServer(t, { LADING_TRUST_PROXY: 'loopback', LADING_REGISTRATION: 'open' });
  const { origin, certificate } = await startNginx(t, port);
  return (prefix) => ({ base: `${origin}${prefix}`, origin, prefix, client, admin, certificate });
}

for (const prefix of ['', '/drive']) {
  test(`programs work at https://host${prefix}`, { skip: without('nginx') }, async (t) => {
    const site = (await start(t))(prefix);
    await chunk(site);
    await tus(site, 'in-pieces', 1);
    await tus(site, 'in-parts', 3);
    await resumable(site);
    await links(site);
    await cookies(site);
    await forged(site);
    await commandLine(t, site);
  });

  test(`the dashboard and the page of the interface work at https://host${prefix}`, {
    skip: without('nginx') || WITHOUT_BROWSER,
  }, async (t) => {
    const site = (await start(t))(prefix);
    await chunk(site);
    const browser = await chromium.launch({ executablePath: findChromium() ?? '', args: ['--no-sandbox'] });
    t.after(() => browser.close());
    const page = await browser.newPage({ ignoreHTTPSErrors: true });
    // A busy machine is slow.
    page.setDefaultTimeout(180_000);
    const faults: string[] = [];
    page.on('console', (message) => {
      if (message.type() === 'error') faults.push(message.text());
    });
    page.on('request', (request) => {
      if (!request.url().startsWith(`${site.base}/`)) faults.push(request.url());
    });
    await page.goto(`${site.base}/`);
    await signInTo(page, site.client);
    await page.getByText('chunked').first().waitFor();
    await page.goto(`${site.base}/docs`);
    await page.locator('[data-path="/api/files/upload"]').waitFor();
    assert.deepEqual(faults, []);
  });
}

test('a public URL with a path works with and without a proxy that removes the path', async (t) => {
  const { origin, client } = await startServer(t, { LADING_PUBLIC_URL: 'https://example.org/drive/' });
  for (const path of ['', '/drive']) {
    const metadata = await fetch(`${origin}${path}/.well-known/oauth-authorization-server`);
    assert.equal(((await metadata.json()) as { issuer: string }).issuer, 'https://example.org/drive');
    const headers = { ...client.headers, 'tus-resumable': '1.0.0', 'upload-length': '0' };
    const made = await fetch(`${origin}${path}/files/`, { method: 'POST', headers });
    assert.match(made.headers.get('location') ?? '', /^\/drive\/files\//);
  }
  const root = await fetch(`${origin}/drive`, { redirect: 'manual' });
  assert.equal(root.headers.get('location'), '/drive/');
});

test('a path that equals one of the server is never removed twice', async (t) => {
  const { origin, client } = await startServer(t, { LADING_PUBLIC_URL: 'https://example.org/files' });
  const headers = { ...client.headers, 'tus-resumable': '1.0.0', 'upload-length': '1' };
  const made = await fetch(`${origin}/files/`, { method: 'POST', headers });
  const location = made.headers.get('location') ?? '';
  assert.match(location, /^\/files\/files\//);
  const { status } = await fetch(`${origin}${location.slice('/files'.length)}`, { method: 'HEAD', headers });
  assert.equal(status, 200);
});
