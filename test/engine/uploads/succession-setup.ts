/** Shared by the tests of succession. */
import assert from 'node:assert/strict';
import type { ResourceAddress } from '../../../src/engine/receive/upload-resource.ts';
import { content, download, OWNER, send, text } from '../../support/product/device.ts';
import type { EngineUnderTest } from '../../support/product/engine.ts';
import { INSTEAD, NAME, stream } from '../intents.ts';

export const NEW = Buffer.from(content(0, 100_000, 7));

export const OLD = text('before');

/** The state of the name before the new file: how to create it, and how to check that it stayed. */
export interface Before {
  make(under: EngineUnderTest): Promise<void>;
  kept(under: EngineUnderTest): Promise<void>;
}

export const partial = async ({ engine }: EngineUnderTest, bytes = 3): Promise<void> => {
  const { status, bytes_received: received } = await engine.status(OWNER, NAME);
  assert.deepEqual({ status, received }, { status: 'partial', received: bytes });
};

export let address: ResourceAddress | null = null;

export const BEFORE: Record<string, Before> = {
  'an upload in chunks': {
    make: async ({ engine }) => void (await send(engine, NAME, 0, text('abc'), { declaredSize: 9 })),
    kept: async (under) => {
      await partial(under);
      await send(under.engine, NAME, 3, text('defghi'), { declaredSize: 9 });
      assert.equal((await download(under.engine, NAME)).toString(), 'abcdefghi');
    },
  },
  'a replacement': {
    make: async ({ engine }) => {
      await send(engine, NAME, 0, OLD, { declaredSize: OLD.length });
      await send(engine, NAME, 0, text('abc'), { declaredSize: 9, overwrite: true });
    },
    kept: async (under) => {
      await partial(under);
      assert.ok(Buffer.from(OLD).equals(await download(under.engine, NAME)));
    },
  },
  'a continuation': {
    make: async (under) => {
      await send(under.engine, NAME, 0, OLD);
      await under.restart({ openEndedSeconds: 0 });
      await under.engine.sweep();
      await under.restart({ openEndedSeconds: 900 });
      await send(under.engine, NAME, OLD.length + 4, text('abc'));
    },
    kept: async (under) => {
      await partial(under, OLD.length + 3);
      assert.ok(Buffer.from(OLD).equals(await download(under.engine, NAME)));
    },
  },
  'an upload with an address': {
    make: async ({ engine }) => {
      address = await engine.createResumable(INSTEAD);
      await engine.append(stream(text('abc')), address, { offset: 0, size: null, contentLength: 3 });
    },
    kept: async (under) => {
      assert.ok(address);
      assert.equal((await under.engine.resumableState(address)).offset, 3);
      await partial(under);
    },
  },
};
