/**
 * Fills a ledger whose file may not grow beyond a limit of the system, and prints what happened as JSON. A program of its own, because the
 * limit holds for a whole process.
 */
import { Ledger } from '../../../src/storage/lmdb/ledger.ts';

const [path = ''] = process.argv.slice(2);
const ledger = new Ledger({ path, free: () => null });
const keyOf = (n: number): Buffer => Buffer.from(n.toString(16).padStart(32, '0'), 'hex');
const bytesOf = (n: number): Buffer => Buffer.alloc(60_000, n % 251);

const committed: number[] = [];
let refused = 0;
let next = 0;

/** Commits several values at once until some are refused. */
async function fill(): Promise<void> {
  const before = refused;
  while (refused === before && next < 10_000) {
    const group = Array.from({ length: 8 }, () => next++);
    const results = await Promise.allSettled(
      group.map((n) => ledger.commit((write) => write.put('bytes', keyOf(n), bytesOf(n)))),
    );
    results.forEach((result, index) => {
      if (result.status === 'fulfilled') committed.push(group[index] ?? -1);
      else refused += 1;
    });
  }
}

/** Numbers of committed values that differ from what was committed. */
function damaged(): number {
  return committed.filter((n) => Buffer.compare(ledger.bytes.get(keyOf(n)) ?? Buffer.alloc(0), bytesOf(n)) !== 0)
    .length;
}

let worst = 0;
for (let round = 0; round < 5; round += 1) {
  await fill();
  worst = Math.max(worst, damaged());
  // Makes room for the next round.
  for (const n of committed.splice(0, 20)) await ledger.commit((write) => write.remove('bytes', keyOf(n)));
}
await ledger.close();
console.log(JSON.stringify({ committed: committed.length, refused, damaged: worst }));
