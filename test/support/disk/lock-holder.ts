/** A process that takes the lock of a data directory, prints `locked` or the error, and exits when its standard input ends. */

import { acquireLock } from '../../../src/storage/disk/directory/lock.ts';
import { realDisk } from '../../../src/storage/disk/io/disk.ts';

const [path = ''] = process.argv.slice(2);
try {
  const lock = await acquireLock(realDisk, path, { watchMs: 3_000 });
  console.log('locked');
  process.stdin.resume();
  process.stdin.on('end', () => void lock.release().then(() => process.exit(0)));
} catch (error) {
  console.log(error instanceof Error ? error.message : String(error));
}
