/**
 * How a file that was sent gets its name on an FTP server without replacing another one. FTP has no rename that refuses a name in use, so
 * the name is claimed first: a folder is made of which the name follows from it, which of several servers succeeds for one only.
 */
import { createHash } from 'node:crypto';
import { FTPError } from 'basic-ftp';
import type { FtpTrace } from './ftp.ts';
import type { FtpSession } from './ftp-session.ts';
import { withId } from './naming.ts';

export interface Naming {
  id: string;
  targetId: string;
  names: Iterable<string>;
  temporary: string;
  /** The server says how large the temporary file is, so it can be asked which names are taken. */
  sized: boolean;
  /** Durable when it resolves. */
  keep(trace: FtpTrace): Promise<void>;
}

/** Targets whose server makes folders and removes none: claims would pile up there. */
const unclaimed = new Set<string>();

/**
 * Renames the temporary file to the first free name.
 * @returns what is left there to be removed
 */
export async function giveName(session: FtpSession, naming: Naming): Promise<string[]> {
  const listed = naming.sized ? null : await listing(session, naming.temporary);
  const isTaken = async (name: string): Promise<boolean> => {
    if (!naming.sized) return listed?.has(name) ?? false;
    return typeof (await session.size(name)) === 'number';
  };
  // A server that says of no name whether it is there: one that nobody else uses.
  const names = naming.sized || listed ? naming.names : uniqueNames(naming);
  for (const name of names) {
    if (await isTaken(name)) continue;
    const claim = await claimOf(session, naming, name);
    if (claim === null) continue;
    const renamed = !(await isTaken(name)) && (await rename(session, naming, name));
    const left = claim === '' || (await session.allows(`RMD ${claim}`)) ? [] : [`${claim}/`];
    if (left.length > 0) unclaimed.add(naming.targetId);
    if (renamed) return left;
    await naming.keep({ remoteName: null, litter: [naming.temporary, ...left] });
  }
  throw new Error('every name that the file could have there is taken');
}

function uniqueNames({ names, id }: Naming): string[] {
  const [first = id] = names;
  return [withId(first, id)];
}

/** Every name in the folder; null when the server does not show what certainly is there. */
async function listing(session: FtpSession, known: string): Promise<Set<string> | null> {
  try {
    const names = new Set((await session.client.list()).map(({ name }) => name));
    return names.has(known) ? names : null;
  } catch (error) {
    if (session.client.closed || !(error instanceof FTPError)) throw error;
    return null;
  }
}

/**
 * Claims a name, and keeps that the file is about to get it.
 * @returns the folder that claims it; empty where nobody may make folders, or none is to be made; null when somebody else claims it
 */
async function claimOf(session: FtpSession, naming: Naming, name: string): Promise<string | null> {
  const { temporary, targetId, keep } = naming;
  const folder = `.lading-${createHash('sha256').update(name).digest('hex').slice(0, 16)}.claim`;
  if (await session.isFolder(folder)) return null;
  const claims = !unclaimed.has(targetId);
  await keep({ remoteName: name, litter: claims ? [temporary, `${folder}/`] : [temporary] });
  if (!claims) return '';
  if (await session.allows(`MKD ${folder}`)) return folder;
  // It is not ours, so it is not to be removed.
  await keep({ remoteName: name, litter: [temporary] });
  return (await session.isFolder(folder)) ? null : '';
}

/** False when the name turns out to be taken, by a folder for example. */
async function rename(session: FtpSession, { temporary }: Naming, name: string): Promise<boolean> {
  try {
    await session.client.rename(temporary, name);
    return true;
  } catch (error) {
    if (session.client.closed || !(error instanceof FTPError)) throw error;
    if ((await session.isFolder(name)) || typeof (await session.size(name)) === 'number') return false;
    throw error;
  }
}
