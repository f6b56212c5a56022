/** A page of another site, in a real browser, that has a published client loaded. */
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

/** tus-js-client as its package brings it for browsers, as `tus`. */
export function tusJsClient(): Promise<string> {
  return readFile(join(resolve('tus-js-client/package.json'), '../dist/tus.min.js'), 'utf8');
}

/** Packages in one script; what `entry`, a module, puts on `globalThis` is there. */
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
  if (!script) throw new Error('nothing was bundled');
  return script.code;
}

/** The page, with the script run. */
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
