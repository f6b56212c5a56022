/**
 * The whole engine over storage whose operations proceed in any order: whatever requests run at the same time, whenever power is lost or
 * an operation fails, every acknowledged byte is served, nothing unverified is, and lists and usage agree.
 *
 * A run prints its seed. `INTERLEAVING_SEED=… npm test` repeats it; a failure also prints the path of the shortest story that fails.
 * `INTERLEAVINGS=…` sets the number of stories for each property, and `npm run interleavings` tells many.
 */
import { test } from 'node:test';
import fc from 'fast-check';
import { randomFrom } from '../../support/random.ts';
import { NAMES, type Step } from './requests.ts';
import type { Chunk } from './states.ts';
import { type Paced, Story } from './story.ts';
import { type Damage, World } from './world.ts';

const STORIES = Number(process.env.INTERLEAVINGS ?? 200);
const SEED = Number(process.env.INTERLEAVING_SEED ?? Math.floor(Math.random() * 2 ** 31));

const MAX_CELLS = 4;

const name = fc.constantFrom(...NAMES);
const version = fc.integer({ min: 1, max: 3 });
const size = fc.integer({ min: 2, max: MAX_CELLS });
const chunk: fc.Arbitrary<Chunk> = fc
  .record({ version, size, at: fc.nat(), length: fc.integer({ min: 1, max: MAX_CELLS }), overwrite: fc.boolean() })
  .map(({ version, size, at, length, overwrite }) => {
    const first = at % size;
    return { version, size, first, count: Math.min(length, size - first), overwrite };
  });
const damage = fc.oneof(
  { weight: 8, arbitrary: fc.constant<Damage>('none') },
  { weight: 1, arbitrary: fc.constantFrom<Damage>('checksum', 'cut', 'broken') },
);

const request: fc.Arbitrary<Step> = fc.oneof(
  { weight: 10, arbitrary: fc.record({ kind: fc.constant('chunk' as const), name, chunk, damage }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('file' as const), name, version, size, newest: fc.boolean() }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom('remove' as const, 'cancel' as const), name }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('read' as const), name }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('sweep' as const, 'silence' as const) }) },
);
const crash: fc.Arbitrary<Step> = fc.record({
  kind: fc.constant('crash' as const),
  seed: fc.option(fc.nat({ max: 1000 }), { nil: null }),
});
const fault: fc.Arbitrary<Step> = fc.record({ kind: fc.constant('fault' as const), after: fc.nat({ max: 20 }) });
const calm: fc.Arbitrary<Step> = fc.record({ kind: fc.constantFrom('settle' as const, 'restart' as const) });

/** At most five requests run between two moments at which the state is compared. */
function stories(...interruptions: fc.Arbitrary<Step>[]): fc.Arbitrary<{ steps: Paced[]; choices: number[] }> {
  const paced = (step: fc.Arbitrary<Step>): fc.Arbitrary<Paced> => fc.record({ step, turns: fc.nat({ max: 12 }) });
  const epoch = fc
    .tuple(fc.array(paced(request), { minLength: 1, maxLength: 5 }), paced(fc.oneof(calm, ...interruptions)))
    .map(([requests, end]) => [...requests, end]);
  const steps = fc.array(epoch, { minLength: 1, maxLength: 5 }).map((epochs) => epochs.flat());
  return fc.record({ steps, choices: fc.array(fc.nat({ max: 7 }), { maxLength: 400 }) });
}

for (const durability of ['chunk', 'seal'] as const) {
  const kinds = { 'losses of power': [crash], 'failing operations': [crash, fault] };
  for (const [what, interruptions] of Object.entries(kinds)) {
    test(`durability ${durability}: any interleaving of requests, with ${what}, is explained by some order of them`, async (t) => {
      t.diagnostic(`INTERLEAVING_SEED=${SEED}`);
      await fc.assert(
        fc.asyncProperty(stories(...interruptions), async ({ steps, choices }) => {
          const world = await World.start({ durability });
          try {
            await new Story(world, durability === 'chunk', choices, (seed) => randomFrom(seed).unit).tell(steps);
          } catch (error) {
            if (error instanceof Error) error.message += `\n${world.turns.trace.join('\n')}`;
            throw error;
          } finally {
            await world.close();
          }
        }),
        { numRuns: STORIES, seed: SEED, includeErrorInReport: true },
      );
    });
  }
}
