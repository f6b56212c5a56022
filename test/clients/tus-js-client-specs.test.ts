/**
 * Runs the unchanged end-to-end specs from the package of tus-js-client in a browser. They name another server; their requests are
 * redirected to the server under test, with a token.
 */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { test } from 'node:test';
import { startServer } from '../support/product/server.ts';
import { visit, WITHOUT_BROWSER } from '../support/servers/chromium.ts';

const resolve = createRequire(import.meta.url).resolve;

/** Runs the specs whose names match, and returns their results. */
const RUN = `
  new Promise((done) => {
    const results = [];
    jasmine.getEnv().configure({ random: false, specFilter: (spec) => /end-to-end/.test(spec.getFullName()) });
    jasmine.getEnv().addReporter({
      specDone: ({ fullName, status, failedExpectations }) => {
        if (status !== 'excluded') results.push([fullName, status, failedExpectations.map(({ message }) => message).join('; ')]);
      },
      jasmineDone: () => done(results),
    });
    jasmine.getEnv().execute();
  })
`;

test('the end-to-end specs of tus-js-client pass', { skip: WITHOUT_BROWSER }, async (t) => {
  const server = await startServer(t);
  const { page, context } = await visit(t, 'about:blank');
  let asked = 0;
  await context.route('https://tusd.tusdemo.net/**', async (route) => {
    asked += 1;
    const request = route.request();
    const url = request.url().replace('https://tusd.tusdemo.net', server.origin);
    const headers = { ...request.headers(), ...server.client.headers };
    await route.fulfill({ response: await route.fetch({ url, headers }) });
  });
  await context.route('https://page.example.org/', (route) =>
    route.fulfill({ contentType: 'text/html', body: '<!doctype html><title>Specs</title>' }),
  );
  await page.goto('https://page.example.org/');
  await page.addScriptTag({
    content: await readFile(join(resolve('jasmine-core'), '../jasmine-core/jasmine.js'), 'utf8'),
  });
  // The suites in the files of the package have equal names.
  await page.evaluate('jasmine.getEnv().configure({ forbidDuplicateNames: false })');
  const bundle = join(resolve('tus-js-client/package.json'), '../dist/browser-test-bundle.js');
  await page.addScriptTag({ content: await readFile(bundle, 'utf8') });
  const results = (await page.evaluate(RUN)) as [name: string, status: string, why: string][];
  assert.equal(results.length, 2, JSON.stringify(results));
  for (const [name, status, why] of results) assert.equal(status, 'passed', `${name}: ${why}`);
  assert.ok(asked > 6);
});
