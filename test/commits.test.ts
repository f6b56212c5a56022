/** The check of commit messages, on a repository of its own. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { repoRoot } from './support/root.ts';

const CHECK = join(repoRoot(), 'scripts/check-commits.mjs');

test('a commit message needs a short imperative subject and a body with the reason', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'lading-commits-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const git = (...args: string[]) =>
    execFileSync('git', ['-c', 'user.name=Test', '-c', 'user.email=test@example.org', ...args], { cwd: folder });
  git('init', '-q', '-b', 'main');
  const commit = (...lines: string[]) => git('commit', '-q', '--allow-empty', ...lines.flatMap((line) => ['-m', line]));
  const check = () => spawnSync(process.execPath, [CHECK, '-1'], { cwd: folder, encoding: 'utf8' });

  for (const subject of ['Refuse names with control characters', 'Docs: name the settings of the proxy', 'Embed it']) {
    commit(subject, 'A terminal would obey them.');
    assert.equal(check().status, 0, subject);
  }
  for (const [subject, body, what] of [
    ['Refuse names with control characters', null, /does not say why/],
    [`Refuse names ${'and more '.repeat(8)}`.trim(), 'Because.', /at most 72/],
    ['Refused names with control characters', 'Because.', /not an imperative/],
    ['Adding names', 'Because.', /not an imperative/],
    ['refuse names', 'Because.', /capital letter/],
    ['Refuse names.', 'Because.', /punctuation/],
  ] as const) {
    commit(subject, ...(body === null ? [] : [body]));
    const { status, stderr } = check();
    assert.equal(status, 1, subject);
    assert.match(stderr, what, subject);
  }
});
