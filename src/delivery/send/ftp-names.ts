/**
 * How a file that was sent gets its name on an FTP server without replacing another one. FTP has no rename that refuses a name in use, and
 * no lock. So servers that deliver into one folder show each other what they are about to take: the temporary file itself is renamed to a
 * sign, whose name follows from the wanted one, before anybody looks. Of two that want one name at one time, the one that looks later sees
 * the sign of the other and waits. A sign is the file, so nothing else is made there and nothing has to be removed.
 */
import { createHash } from 'node:crypto';
import { setTimeout } from 'node:timers/promises';
import { FTPError } from 'basic-ftp';
import type { FtpSession } from './ftp-session.ts';
import type { FtpTrace } from './ftp-trace.ts';
import { namesFor, withId } from './naming.ts';

/** While another server shows that it takes a name: how often to look again before the next name is tried, and after how long. */
const ROUNDS = 6;
const PAUSE_MS = 300;

export interface Naming {
  id: string;
  /** Names for the file; the first that is free becomes its own. */
  names: Iterable<string>;
  /** `.ID-RANDOM.part`. */
  temporary: string;
  /** The server says how large the temporary file is, so it can be asked which names are taken. */
  sized: boolean;
  /** Durable when it resolves. */
  saveTrace(trace: FtpTrace): Promise<void>;
}

/** Renames the temporary file to the first free name. Rejects with what the server or the connection said. */
export async function renameToFree(session: FtpSession, naming: Naming): Promise<void> {
  const shown = await namesLike(session, naming.temporary, naming.temporary);
  if (shown === null) await giveOwnName(session, naming);
  else await giveFreeName(session, naming);
}

async function giveFreeName(session: FtpSession, naming: Naming): Promise<void> {
  const { temporary, saveTrace: keep } = naming;
  let at = temporary;
  const move = async (to: string): Promise<void> => {
    await keep({ remoteName: null, temporaryNames: [at, to] });
    await session.client.rename(at, to);
    at = to;
  };
  for (const name of naming.names) {
    const { sign, pattern } = signOf(name, temporary);
    for (let round = 0; round < ROUNDS && !(await isTaken(session, naming, name, at)); round += 1) {
      await move(sign);
      const signs = await namesLike(session, pattern, sign);
      if (signs !== null && signs.size === 1) {
        if (await isTaken(session, naming, name, at)) break;
        await keep({ remoteName: name, temporaryNames: [sign] });
        if (await rename(session, sign, name)) return;
        break;
      }
      // The other one may have looked before it could see this sign, so it is this one that steps back.
      await move(temporary);
      await setTimeout(PAUSE_MS * (0.5 + Math.random()));
    }
  }
  throw new Error('every name that the file could have there is taken');
}

/** On a server that does not show what is there: a name that no other file has. */
async function giveOwnName(
  session: FtpSession,
  { id, names, temporary, sized, saveTrace: keep }: Naming,
): Promise<void> {
  const [first = id] = names;
  for (const name of namesFor(withId(first, id))) {
    if (sized && typeof (await session.size(name)) === 'number') continue;
    await keep({ remoteName: name, temporaryNames: [temporary] });
    if (await rename(session, temporary, name)) return;
  }
  throw new Error('every name that the file could have there is taken');
}

/** The name that shows that somebody is about to take another one, and the pattern of those of everybody. */
function signOf(name: string, temporary: string): { sign: string; pattern: string } {
  const begin = `.lading-${createHash('sha256').update(name).digest('hex').slice(0, 16)}-`;
  return { sign: begin + temporary.slice(1), pattern: `${begin}*` };
}

/** @param known a name that is certainly there */
async function isTaken(session: FtpSession, { sized }: Naming, name: string, known: string): Promise<boolean> {
  if (sized) return typeof (await session.size(name)) === 'number';
  const names = await session.names();
  if (names?.has(known)) return names.has(name);
  throw new Error('the server does not show any more what is there');
}

/**
 * The names that a pattern fits, with one asterisk at its end or none.
 * @param known fits, and is certainly there
 * @returns null when the server does not show it
 */
async function namesLike(session: FtpSession, pattern: string, known: string): Promise<Set<string> | null> {
  // Not every server knows patterns; a whole folder may be a long list.
  for (const asked of [pattern, '']) {
    const names = await session.names(asked);
    if (names?.has(known)) {
      const begin = pattern.replace(/\*$/, '');
      return new Set([...names].filter((name) => name.startsWith(begin)));
    }
  }
  return null;
}

/** False when the name turns out to be taken, by a folder for example. */
async function rename(session: FtpSession, from: string, to: string): Promise<boolean> {
  try {
    await session.client.rename(from, to);
    return true;
  } catch (error) {
    if (session.client.closed || !(error instanceof FTPError)) throw error;
    if ((await session.isFolder(to)) || typeof (await session.size(to)) === 'number') return false;
    throw error;
  }
}
