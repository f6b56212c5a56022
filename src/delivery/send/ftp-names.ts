/**
 * Gives a delivered file its final name on an FTP server without replacing another file. FTP has neither locks nor a rename that fails if the
 * name is in use. Servers that deliver to one directory therefore coordinate: before a server checks whether a name is free, it renames its
 * temporary file to a claim, whose name is derived from the wanted name. If two servers want the same name at the same time, the one that
 * checks later sees the claim of the other and waits. The claim is the file itself, so nothing else is created and nothing must be deleted.
 */
import { createHash } from 'node:crypto';
import { setTimeout } from 'node:timers/promises';
import { FTPError } from 'basic-ftp';
import type { FtpSession } from './ftp-session.ts';
import type { FtpTrace } from './ftp-trace.ts';
import { namesFor, withId } from './naming.ts';

/** How often a name is claimed before the next name is tried. */
const MAX_CLAIMS = 6;
/** Pause after a conflict with the claim of another server. */
const CLAIM_PAUSE_MS = 300;

export interface RenameTask {
  /** Id of the file. */
  id: string;
  /** Candidates for the final name, in order of preference. */
  names: Iterable<string>;
  /** The current name, `.ID-RANDOM.part`. */
  temporary: string;
  /** The server supports SIZE, which shows whether a name is in use. */
  supportsSize: boolean;
  /** Stores the names that the file may have. Durable when it resolves. */
  saveTrace(trace: FtpTrace): Promise<void>;
}

/** Renames the temporary file to the first free name. @throws Error with the reply of the server or the error of the connection */
export async function renameToFreeName(session: FtpSession, task: RenameTask): Promise<void> {
  const listed = await namesLike(session, task.temporary, task.temporary);
  if (listed === null) await renameToUniqueName(session, task);
  else await claimName(session, task);
}

/** Claims candidates until one is free, and renames the file to it. */
async function claimName(session: FtpSession, task: RenameTask): Promise<void> {
  const { temporary, saveTrace } = task;
  let currentName = temporary;
  const move = async (to: string): Promise<void> => {
    await saveTrace({ remoteName: null, temporaryNames: [currentName, to] });
    await session.client.rename(currentName, to);
    currentName = to;
  };
  for (const name of task.names) {
    const { claim, pattern } = claimOf(name, temporary);
    for (let round = 0; round < MAX_CLAIMS && !(await isTaken(session, task, name, currentName)); round += 1) {
      await move(claim);
      const claims = await namesLike(session, pattern, claim);
      if (claims !== null && claims.size === 1) {
        if (await isTaken(session, task, name, currentName)) break;
        await saveTrace({ remoteName: name, temporaryNames: [claim] });
        if (await rename(session, claim, name)) return;
        break;
      }
      // The other server may have checked before this claim existed, so this server withdraws its claim.
      await move(temporary);
      await setTimeout(CLAIM_PAUSE_MS * (0.5 + Math.random()));
    }
  }
  throw new Error('every possible name of the file is in use on the server');
}

/** Renames the file to a name with its id, which is unique. For servers that do not list their directory. */
async function renameToUniqueName(
  session: FtpSession,
  { id, names, temporary, supportsSize, saveTrace }: RenameTask,
): Promise<void> {
  const [first = id] = names;
  for (const name of namesFor(withId(first, id))) {
    if (supportsSize && typeof (await session.size(name)) === 'number') continue;
    await saveTrace({ remoteName: name, temporaryNames: [temporary] });
    if (await rename(session, temporary, name)) return;
  }
  throw new Error('every possible name of the file is in use on the server');
}

/** The claim of this file for a name, and the pattern of all claims for the name. */
function claimOf(name: string, temporary: string): { claim: string; pattern: string } {
  const prefix = `.lading-${createHash('sha256').update(name).digest('hex').slice(0, 16)}-`;
  return { claim: prefix + temporary.slice(1), pattern: `${prefix}*` };
}

/** @param known a name that exists, to detect listings that are incomplete */
async function isTaken(
  session: FtpSession,
  { supportsSize }: RenameTask,
  name: string,
  known: string,
): Promise<boolean> {
  if (supportsSize) return typeof (await session.size(name)) === 'number';
  const names = await session.names();
  if (names?.has(known)) return names.has(name);
  throw new Error('the server no longer lists its directory');
}

/**
 * Lists the names that match a pattern. The pattern may end with one asterisk.
 * @param known a name that exists and matches
 * @returns null if the server does not list its directory
 */
async function namesLike(session: FtpSession, pattern: string, known: string): Promise<Set<string> | null> {
  // Some servers do not support patterns. A listing of the whole directory may be long, so it comes second.
  for (const argument of [pattern, '']) {
    const names = await session.names(argument);
    if (names?.has(known)) {
      const prefix = pattern.replace(/\*$/, '');
      return new Set([...names].filter((name) => name.startsWith(prefix)));
    }
  }
  return null;
}

/** Renames a file. False if the name is in use, for example by a directory. */
async function rename(session: FtpSession, from: string, to: string): Promise<boolean> {
  try {
    await session.client.rename(from, to);
    return true;
  } catch (error) {
    if (session.client.closed || !(error instanceof FTPError)) throw error;
    if ((await session.isDirectory(to)) || typeof (await session.size(to)) === 'number') return false;
    throw error;
  }
}
