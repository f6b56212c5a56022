/** What `lading upload` sends: files, what is in folders, and their names on the server. */
import { opendir, realpath, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { checkName } from '../../protocol/names.ts';
import { UsageError } from './exit.ts';
import { printable } from './terminal.ts';

/** Standard input. */
export const STDIN = '-';

export interface Source {
  /** Name on the server. */
  name: string;
  /** Where it is here; `-` for standard input. */
  path: string;
  /** Bytes; null for what cannot be looked at before it is sent. */
  size: number | null;
}

export interface SourceOptions {
  name?: string;
  prefix?: string;
  recursive?: boolean;
  followSymlinks?: boolean;
}

export interface Sources {
  sources: Source[];
  /** Paths in folders that are not sent, each with the reason. `lost`: a file that was to be sent. */
  skipped: { path: string; why: string; lost: boolean }[];
}

/**
 * What becomes what. Nothing is sent before all of it is known.
 * @throws UsageError for a folder without --recursive, for names that the server does not take, and when two files would get one name:
 * the second would conflict with the first, or replace it. The system's error for a folder that cannot be read.
 */
export async function sourcesOf(paths: readonly string[], options: SourceOptions): Promise<Sources> {
  const { name, prefix = '' } = options;
  if (paths.includes(STDIN) && (paths.length > 1 || name === undefined)) {
    throw new UsageError('Standard input goes alone and needs its name on the server: lading upload - --name NAME');
  }
  if (name !== undefined && paths.length > 1) throw new UsageError('--name goes with a single file.');
  const found: Sources = { sources: [], skipped: [] };
  for (const path of paths) {
    // A file that is not there fails when its turn comes, and the others are sent.
    const here = path === STDIN ? null : await stat(path).catch(() => null);
    if (here?.isDirectory()) await addFolder(found, path, options);
    else
      found.sources.push({ name: `${prefix}${name ?? basename(path)}`, path, size: here?.isFile() ? here.size : null });
  }
  refuseWrongNames(found.sources);
  if (options.recursive && found.sources.length === 0) throw new UsageError('There is no file to send in that folder.');
  return found;
}

async function addFolder(found: Sources, path: string, options: SourceOptions): Promise<void> {
  if (!options.recursive) {
    throw new UsageError(`${path} is a folder. Send all files in it with --recursive; --dry-run shows their names.`);
  }
  const { name, prefix = '' } = options;
  if (name !== undefined)
    throw new UsageError('--name goes with a single file; the names of a folder begin with --prefix.');
  // As cp does: a folder keeps its name, "." and what ends in "/." do not have one.
  const own = /(^|[/\\])\.{1,2}[/\\]?$/.test(path) ? '' : `${basename(resolve(path))}/`;
  await walk(found, path, `${prefix}${own}`, options.followSymlinks ?? false, [await realpath(path)]);
}

/** Depth first, by name. @param above where it is in, so that a link to one of these is not followed for ever */
async function walk(found: Sources, folder: string, prefix: string, follow: boolean, above: string[]): Promise<void> {
  const entries = [];
  for await (const entry of await opendir(folder)) entries.push(entry);
  entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  const skip = (path: string, why: string, lost = false) => found.skipped.push({ path, why, lost });
  for (const entry of entries) {
    const path = join(folder, entry.name);
    const name = `${prefix}${entry.name}`;
    if (entry.isSymbolicLink() && !follow) {
      skip(path, 'a symbolic link; --follow-symlinks sends what it leads to');
      continue;
    }
    const here = await stat(path).catch(() => null);
    if (here === null) {
      // What a name holds that is not UTF-8 was replaced as it was read.
      const why = entry.name.includes('\ufffd') ? 'its name is not UTF-8; give it another one' : 'it leads nowhere';
      skip(path, why, true);
    } else if (here.isFile()) {
      found.sources.push({ name, path, size: here.size });
    } else if (here.isDirectory()) {
      const real = await realpath(path);
      if (above.includes(real)) skip(path, 'it leads back to a folder that it is in');
      else await walk(found, path, `${name}/`, follow, [...above, real]);
    } else {
      skip(path, 'no regular file');
    }
  }
}

function refuseWrongNames(sources: readonly Source[]): void {
  const names = new Map<string, string>();
  for (const { name, path } of sources) {
    try {
      checkName(name);
    } catch (error) {
      throw new UsageError(`${printable(path)} cannot be sent as ${printable(name)}. ${(error as Error).message}`);
    }
    const other = names.get(name);
    if (other !== undefined) {
      throw new UsageError(
        `${other} and ${path} would both be ${name} on the server; send one of them with another name.`,
      );
    }
    names.set(name, path);
  }
}
