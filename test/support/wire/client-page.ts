/** A page of a different origin in a real browser, with a published client. */
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { Page } from 'playwright-core';
import { build } from 'vite';
import { repoRoot } from '../root.ts';
import { visit } from '../servers/chromium.ts';

const resolve = createRequire(import.meta.url).resolve;

/** The script of tus-js-client for browsers, which defines `tus`. */
export function tusJsClient(): Promise<string> {
  return readFile(join(resolve('tus-js-client/package.json'), '../dist/tus.min.js'), 'utf8');
}

/** Bundles a module and its packages into one script. The module exports by assigning to `globalThis`. */
export async function bundled(entry: string): Promise<string> {
  const id = '\0entry';
  const result = await build({
    root: repoRoot(),
    configFile: false,
    logLevel: 'silent',
    plugins: [
      {
        name: 'entry',
        resolveId: (source) => (source === 'entry' ? id : undefined),
        load: (source) => (source === id ? entry : undefined),
      },
    ],
    build: { write: false, minify: false, rollupOptions: { input: 'entry', output: { format: 'iife' } } },
  });
  const outputs = [result].flat().flatMap((one) => ('output' in one ? one.output : []));
  const [script] = outputs.filter((one) => one.type === 'chunk');
  if (!script) throw new Error('the bundle is empty');
  return script.code;
}

/** Opens a page that has run the script. */
export async function clientPage(t: TestContext, script: string): Promise<Page> {
  const site = createServer((request, response) => {
    const isScript = request.url === '/script.js';
    response.setHeader('content-type', isScript ? 'text/javascript' : 'text/html');
    response.end(isScript ? script : '<!doctype html><title>A page</title><script src="/script.js"></script>');
  });
  site.listen(0, '127.0.0.1');
  await once(site, 'listening');
  t.after(() => {
    site.close();
    site.closeAllConnections();
  });
  const { page } = await visit(t, `http://localhost:${(site.address() as AddressInfo).port}/`);
  return page;
}
