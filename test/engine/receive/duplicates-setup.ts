/** Shared by the tests of duplicates. */
import type { TestContext } from 'node:test';
import { type EngineUnderTest, startEngine } from '../../support/product/engine.ts';
import { Tap } from '../../support/wire/tap.ts';

export async function rig(t: TestContext): Promise<{ run: EngineUnderTest; tap: Tap }> {
  const tap = new Tap();
  return { run: await startEngine(t, {}, { tap }), tap };
}
