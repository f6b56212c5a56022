/** Shared by the tests of undeclared sizes. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

export async function folders(dataDir: string): Promise<string[]> {
  const files = join(dataDir, 'v1', 'files');
  return (await Promise.all((await readdir(files)).map((shard) => readdir(join(files, shard))))).flat();
}
