/** The files that `lading upload` sends, including those in directories, and their names on the server. */
import { opendir, realpath, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { checkName } from '../../protocol/names.ts';
import { UsageError } from './exit.ts';
import { printable } from './terminal.ts';

/** The path that means standard input. */
export const STDIN = '-';

/** A file to upload. */
export interface Source {
  /** Name on the server. */
  name: string;
  /** Local path; `-` for standard input. */
  path: string;
  /** Size in bytes; null when it is unknown before the upload. */
  size: number | null;
}

/** The options that determine names and files. */
export interface SourceOptions {
  name?: string;
  prefix?: string;
  recursive?: boolean;
  followSymlinks?: boolean;
}

/** The files to upload, and the paths that are not uploaded. */
export interface Sources {
  sources: Source[];
  /** Skipped paths in directories, with the reason. `unexpected`: the user expects the file to be sent. */
  skipped: { path: string; why: string; unexpected: boolean }[];
}

/**
 * Maps paths to names on the server, before anything is sent.
 * @throws UsageError for a directory without --recursive, for an invalid name, and when two files would get the same name; a system error
 * for a directory that cannot be read
 */
export async function sourcesOf(paths: readonly string[], options: SourceOptions): Promise<Sources> {
  const { name, prefix = '' } = options;
  if (paths.includes(STDIN) && (paths.length > 1 || name === undefined)) {
    throw new UsageError('Upload standard input alone and with a name: lading upload - --name NAME');
  }
  if (name !== undefined && paths.length > 1) throw new UsageError('--name accepts a single file.');
  const found: Sources = { sources: [], skipped: [] };
  for (const path of paths) {
    // A missing file fails when it is its turn, so that the others are sent.
    const stats = path === STDIN ? null : await stat(path).catch(() => null);
    if (stats?.isDirectory()) await addDirectory(found, path, options);
    else
      found.sources.push({
        name: `${prefix}${name ?? basename(path)}`,
        path,
        size: stats?.isFile() ? stats.size : null,
      });
  }
  validateNames(found.sources);
  if (options.recursive && found.sources.length === 0)
    throw new UsageError('The directory contains no files to upload.');
  return found;
}

async function addDirectory(found: Sources, path: string, options: SourceOptions): Promise<void> {
  if (!options.recursive) {
    throw new UsageError(`${path} is a directory. Use --recursive to upload its files; --dry-run lists their names.`);
  }
  const { name, prefix = '' } = options;
  if (name !== undefined) throw new UsageError('--name accepts a single file. For a directory, use --prefix.');
  // Like cp: names begin with the directory's name, except for "." and paths that end in "/.".
  const own = /(^|[/\\])\.{1,2}[/\\]?$/.test(path) ? '' : `${basename(resolve(path))}/`;
  await walk(found, path, `${prefix}${own}`, options.followSymlinks ?? false, [await realpath(path)]);
}

/** Walks depth first, in order of names. @param above the parent directories, to detect loops of links */
async function walk(
  found: Sources,
  directory: string,
  prefix: string,
  follow: boolean,
  above: string[],
): Promise<void> {
  const entries = [];
  for await (const entry of await opendir(directory)) entries.push(entry);
  entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  const skip = (path: string, why: string, unexpected = false) => found.skipped.push({ path, why, unexpected });
  for (const entry of entries) {
    const path = join(directory, entry.name);
    const name = `${prefix}${entry.name}`;
    if (entry.isSymbolicLink() && !follow) {
      skip(path, 'it is a symbolic link; use --follow-symlinks');
      continue;
    }
    const stats = await stat(path).catch(() => null);
    if (stats === null) {
      // Node replaced bytes of the name that are not UTF-8.
      const why = entry.name.includes('\ufffd')
        ? 'its name is not valid UTF-8; rename it'
        : 'its target does not exist';
      skip(path, why, true);
    } else if (stats.isFile()) {
      found.sources.push({ name, path, size: stats.size });
    } else if (stats.isDirectory()) {
      const real = await realpath(path);
      if (above.includes(real)) skip(path, 'it leads back to one of its parent directories');
      else await walk(found, path, `${name}/`, follow, [...above, real]);
    } else {
      skip(path, 'it is not a regular file');
    }
  }
}

function validateNames(sources: readonly Source[]): void {
  const names = new Map<string, string>();
  for (const { name, path } of sources) {
    try {
      checkName(name);
    } catch (error) {
      throw new UsageError(`${printable(path)} cannot be uploaded as ${printable(name)}. ${(error as Error).message}`);
    }
    const other = names.get(name);
    if (other !== undefined) {
      throw new UsageError(
        `${other} and ${path} would both be named ${name} on the server. Upload one of them under a different name.`,
      );
    }
    names.set(name, path);
  }
}
