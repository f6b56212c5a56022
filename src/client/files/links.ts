/** Symbolic links as targets: the target of the link is replaced, and the link is kept. */
import { readlink, realpath } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

/** Resolves symbolic links. The final target need not exist. Throws a system error for a loop of links. */
export async function resolveLinks(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
    const next = await readlink(path).catch(() => null);
    return next === null ? path : resolveLinks(resolve(dirname(path), next));
  }
}
