/**
 * Servers that are killed while a train arrives. What a line of the reply acknowledged is there after the next start, and a train of the
 * missing ranges goes on.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
import { LINES_TYPE, TRAIN_TYPE } from '../../src/protocol/train.ts';
import { fastFolder } from '../support/product/engine.ts';
import { type Random, seeded } from '../support/random.ts';
import { cutsOf, type Line, trainOf } from '../support/wire/trains.ts';
import { Child, Device } from './child.ts';

const FILE = 600_000;
const ROUNDS = 12;

type Range = [number, number];

/** Sends chunks until the server is gone or all are sent. @returns the ranges that lines acknowledged */
async function sendUntil(
  origin: string,
  device: Device,
  { bytes, order, onLine }: { bytes: Buffer; order: Range[]; onLine(count: number): void },
): Promise<Range[]> {
  const acknowledged: Range[] = [];
  let rest = '';
  let lines = 0;
  await new Promise<void>((resolve) => {
    const sent = request(`${origin}/api/files/upload?filename=a&total_size=${FILE}`, {
      method: 'POST',
      agent: false,
      headers: { ...device.headers, 'content-type': TRAIN_TYPE, accept: LINES_TYPE },
    });
    sent.on('error', () => resolve()).on('close', () => resolve());
    let index = 0;
    // Two chunks after each line, so that there are many commits and one is always on its way.
    const write = (): void => {
      for (const cut of order.slice(index, index + 2)) sent.write(trainOf(bytes, [cut]));
      index += 2;
      if (index >= order.length) sent.end();
    };
    sent.on('response', (reply) => {
      reply.on('error', () => {});
      reply.on('data', (piece: Buffer) => {
        rest += piece.toString();
        const rows = rest.split('\n');
        rest = rows.pop() ?? '';
        for (const row of rows) {
          acknowledged.push(...((JSON.parse(row) as Partial<Line>).committed ?? []));
          lines += 1;
          if (index < order.length) write();
          onLine(lines);
        }
      });
    });
    write();
  });
  return acknowledged;
}

function isMissing(missing: readonly Range[], [start, end]: Range): boolean {
  return missing.some((gap) => gap[0] <= end && start <= gap[1]);
}

async function statusWith(device: Device): Promise<{ missing: Range[]; complete: boolean }> {
  const status = await device.status('a');
  const missing: Range[] = status.status === 'pending' ? [[0, FILE - 1]] : status.missing;
  return { missing, complete: status.status === 'complete' };
}

/** The chunks of what is missing, in any order. */
function chunksOf(missing: readonly Range[], random: Random): Range[] {
  const all = missing.flatMap(([start, end]) =>
    cutsOf(end - start + 1, random.int(500, 9000)).map(([from, to]): Range => [start + from, start + to]),
  );
  return random.shuffled(all);
}

test('what a line acknowledged survives a kill, and a train of what is missing completes the file', async (t) => {
  const random = seeded(t);
  const dataDir = await mkdtemp(join(fastFolder(), 'lading-train-'));
  t.after(() => rm(dataDir, { recursive: true, force: true }));
  const bytes = randomBytes(FILE);
  const acknowledged: Range[] = [];
  let kills = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    const child = new Child(dataDir, { LADING_DURABILITY: round % 2 === 0 ? 'chunk' : 'seal' });
    t.after(() => child.kill());
    const origin = await child.origin;
    const device = new Device(origin);
    await device.signIn();
    const { missing, complete } = await statusWith(device);
    for (const range of acknowledged) assert.ok(!isMissing(missing, range), `${range} was acknowledged`);
    const last = round === ROUNDS - 1;
    const at = random.int(1, 10);
    if (!complete) {
      const onLine = (count: number): void => {
        if (last || count !== at) return;
        kills += 1;
        void child.kill();
      };
      acknowledged.push(...(await sendUntil(origin, device, { bytes, order: chunksOf(missing, random), onLine })));
    }
    if (last) assert.deepEqual(await device.read('a', 0, FILE - 1), bytes);
    await device.close();
    await child.kill();
  }
  assert.ok(kills >= ROUNDS / 3, `only ${kills} kills fell into a train`);
});
