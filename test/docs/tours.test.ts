/**
 * Runs the tours of the documentation word for word. A tour consists of the blocks of a section whose info string has the word
 * `tour`: `sh tour` runs in a shell, `js tour` as a module, and `text tour` is the output of the block before it, where `…`
 * matches any text. After `sh tour restart`, the server is started again.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { type Block, blocks, PAGES, page } from '../support/pages.ts';
import { Tour } from '../support/tour.ts';

const tours = PAGES.flatMap((path) => {
  const all = blocks(page(path)).filter(({ info }) => / tour\b/.test(info));
  return [...new Set(all.map(({ section }) => section))].map((section) => ({
    path,
    section,
    steps: all.filter((block) => block.section === section),
  }));
});

test('the README and the quickstart have tours', () => {
  const sections = tours.map(({ path, section }) => `${path}: ${section}`);
  for (const path of ['README.md', 'docs/quickstart.md']) {
    assert.ok(
      sections.some((name) => name.startsWith(`${path}: `)),
      `${path} has no tour`,
    );
  }
});

for (const { path, section, steps } of tours) {
  test(`${path}: ${section}`, async (t) => {
    const needsCurl = steps.some(({ body }) => /\bcurl\b/.test(body));
    if (needsCurl && spawnSync('curl', ['--version']).error) return t.skip('curl is not installed');
    await follow(await Tour.begin(t), path, steps);
  });
}

async function follow(tour: Tour, path: string, steps: Block[]): Promise<void> {
  let printed = '';
  for (const { info, body, line } of steps) {
    if (info === 'text tour') {
      assert.match(printed, pattern(body), `${path}:${line}: the block before it prints something else`);
    } else if (info === 'js tour') {
      printed = await tour.runModule(body);
    } else {
      assert.match(info, /^sh tour( restart)?$/, `${path}:${line}`);
      printed = await tour.run(body);
      if (info.endsWith('restart')) await tour.startServer();
    }
  }
}

function pattern(expected: string): RegExp {
  const literal = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  return new RegExp(`^\\s*${expected.trim().split('…').map(literal).join('[\\s\\S]*?')}\\s*$`);
}
