import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Committer } from '../../../src/engine/uploads/commit.ts';
import { OpenUpload } from '../../../src/engine/uploads/upload.ts';
import { NO_QUOTA, Usage } from '../../../src/engine/uploads/usage.ts';
import type { FileDocument } from '../../../src/records/file.ts';
import { clockOf } from '../../support/product/clock.ts';
import { OWNER, settle } from '../../support/product/device.ts';

test('a commit requested at any moment of another round is carried out', async () => {
  // A few steps of the event loop separate the end of a round from its resolution. The test tries all of them.
  const document: FileDocument = {
    id: '0'.repeat(32),
    owner: OWNER,
    name: 'f',
    state: 'open',
    size: null,
    contentType: null,
    reprDigest: null,
    crc32: null,
    createdAt: 0,
    updatedAt: 0,
    completedAt: null,
    replaces: null,
  };
  const done = (): Promise<void> => Promise.resolve();
  const catalog = {
    find: () => Promise.resolve({ sealed: null, open: null }),
    list: () => Promise.resolve([]),
    listOpen: () => Promise.resolve([]),
    has: () => Promise.resolve(true),
    get: () => Promise.resolve(null),
    put: done,
    amend: done,
    remove: done,
    subscribe: () => {},
  };
  const clock = clockOf(() => 1);
  const usage = new Usage({ catalog, clock, quota: NO_QUOTA });
  const part = {
    write: () => Promise.reject(new Error('unused')),
    sync: done,
    read: () => Promise.resolve(0),
    truncate: done,
    release: () => {},
  };
  const handles = { part, manifest: { append: done, sync: done, release: () => {} } };
  const nothing = { size: null, reprDigest: null, contentType: null };
  for (let steps = 0; steps < 30; steps += 1) {
    const committer = new Committer({
      catalog,
      clock,
      usage,
      durability: 'chunk',
      emit: () => {},
      announce: () => null,
    });
    const upload = new OpenUpload(document);
    const first = committer.commit(upload, handles, [{ start: 0, end: 0, crc32: 0 }], nothing);
    for (let step = 0; step < steps; step += 1) await Promise.resolve();
    const second = committer.commit(upload, handles, [{ start: 1, end: 1, crc32: 0 }], nothing);
    await first;
    let finished = false;
    second.then(() => {
      finished = true;
    });
    await settle(2);
    assert.ok(finished, `asked for after ${steps} steps`);
    assert.equal(upload.stored.bytes, 2);
    await committer.idle(upload);
  }
});
