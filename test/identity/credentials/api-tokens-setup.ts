/** Helpers of the tests of API tokens. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type { Collection } from '../../../src/contracts/collection.ts';
import { ApiTokens } from '../../../src/identity/credentials/api-tokens.ts';
import type { TokenOwner } from '../../../src/identity/rights/policy.ts';
import { checkApiToken } from '../../../src/records/checks/identity.ts';
import type { ApiTokenDocument } from '../../../src/records/credentials.ts';
import { openLowdbCollection } from '../../../src/storage/lowdb/collection.ts';
import { openTestStore } from '../../support/disk/storage.ts';
import { type HandClock, handClock } from '../../support/product/clock.ts';

export interface Bench {
  tokens: ApiTokens;
  store: Collection<ApiTokenDocument>;
  /** Ids of the documents in the order in which they were written. */
  written: string[];
  clock: HandClock;
}

export async function bench(t: TestContext): Promise<Bench> {
  const { documents } = await openTestStore(t);
  const store: Collection<ApiTokenDocument> = await openLowdbCollection({
    files: documents('api-tokens'),
    check: checkApiToken,
    idOf: ({ id }: ApiTokenDocument) => id,
    onDamaged: (key: string) => assert.fail(key),
  });
  const written: string[] = [];
  const put = store.put.bind(store);
  store.put = async (document) => {
    written.push(document.id);
    await put(document);
  };
  const clock = handClock();
  return { tokens: await ApiTokens.open(store, clock), store, written, clock };
}

export const OWNER: TokenOwner = { id: 'device-1', kind: 'device', tenant: 'default', role: 'client' };

export const READ = { owner: OWNER, name: null, scopes: ['files:read'], lifeMs: null } as const;
