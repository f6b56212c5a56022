/** Symbolic links as targets: what is written to one is written to the file that it leads to, and the link stays. */
import { readlink, realpath } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

/** The file that a path leads to, whether it is there or not. Throws the system's error for links that lead in a circle. */
export async function resolveLinks(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
    const next = await readlink(path).catch(() => null);
    return next === null ? path : resolveLinks(resolve(dirname(path), next));
  }
}
