/**
 * Tokens of sign-ins, kept beside the settings file until they lapse, so that not every command signs in anew. A token is found only by
 * who asks for it with the same server, id and secret. The file is for its owner alone and replaced whole; whoever signs in holds a lock,
 * so that commands that start together sign in once.
 */
import { createHash } from 'node:crypto';
import { mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import type { IssuedToken, TokenStore } from '../../client/calls/session.ts';
import { readSmallFile } from '../../settings/small-file.ts';

/** Not used so shortly before its end: the command needs some time, too. */
const MIN_REMAINING_MS = 60_000;
const MAX_TOKENS = 50;
/** A lock that is older is of a command that was killed: no sign-in takes so long. */
const STALE_LOCK_MS = 30_000;
const LOCK_POLL_MS = 25;

/** By the key of `keyOf`. */
type StoredTokens = Record<string, { token: string; expires_at: number }>;

export interface Identity {
  server: string;
  clientId: string;
  clientSecret: string;
}

/** The file beside the settings file. */
export function tokensPathOf(configPath: string): string {
  return join(dirname(configPath), 'tokens.json');
}

/** Keeps the tokens of one identity in a file. Where it cannot be written, every command signs in. */
export function tokenStore(path: string, identity: Identity, now: () => number = Date.now): TokenStore {
  const key = keyOf(identity);
  const find = async (refused: string | null): Promise<IssuedToken | null> => {
    const kept = (await readTokens(path))[key];
    if (kept === undefined || kept.token === refused) return null;
    const left = kept.expires_at - now();
    return left > MIN_REMAINING_MS ? { token: kept.token, lifeMs: left } : null;
  };
  return async (refused, signIn) => {
    const known = await find(refused);
    if (known !== null) return known;
    const unlock = await lock(path, now);
    if (unlock === null) return signIn();
    try {
      const meanwhile = await find(refused);
      if (meanwhile !== null) return meanwhile;
      await change(path, (kept) => delete kept[key], now).catch(() => {});
      const made = await signIn();
      const expires = now() + made.lifeMs;
      if (Number.isFinite(expires)) {
        await change(
          path,
          (kept) => {
            kept[key] = { token: made.token, expires_at: Math.floor(expires) };
          },
          now,
        ).catch(() => {});
      }
      return made;
    } finally {
      await unlock();
    }
  };
}

/** Forgets all tokens. */
export async function forgetTokens(path: string): Promise<void> {
  await rm(path, { force: true });
}

/** Says nothing of the secret, which may be guessable, without the server's address and the id. */
function keyOf({ server, clientId, clientSecret }: Identity): string {
  return createHash('sha256')
    .update(JSON.stringify([server, clientId, clientSecret]))
    .digest('hex');
}

/** What others can read or change counts for nothing. */
async function readTokens(path: string): Promise<StoredTokens> {
  try {
    const { mode, uid } = await stat(path);
    const own = process.getuid === undefined || uid === process.getuid();
    if (process.platform !== 'win32' && ((mode & 0o077) !== 0 || !own)) return {};
    const value: unknown = JSON.parse(readSmallFile(path).toString('utf8'));
    if (typeof value !== 'object' || value === null) return {};
    return Object.fromEntries(
      Object.entries(value).filter((entry): entry is [string, StoredTokens[string]] => isStoredToken(entry[1])),
    );
  } catch {
    return {};
  }
}

function isStoredToken(value: unknown): value is StoredTokens[string] {
  if (typeof value !== 'object' || value === null || !('token' in value && 'expires_at' in value)) return false;
  return typeof value.token === 'string' && typeof value.expires_at === 'number';
}

async function change(path: string, edit: (kept: StoredTokens) => void, now: () => number): Promise<void> {
  const kept = await readTokens(path);
  edit(kept);
  const valid = Object.entries(kept)
    .filter(([, { expires_at: end }]) => end > now())
    .slice(-MAX_TOKENS);
  const next = `${path}.${process.pid}.new`;
  await rm(next, { force: true });
  const file = await open(next, 'wx', 0o600);
  try {
    await file.writeFile(`${JSON.stringify(Object.fromEntries(valid), null, 2)}\n`);
  } finally {
    await file.close();
  }
  await rename(next, path);
}

/** Null where no lock can be made, as in a folder that is not ours: then nothing is kept. */
async function lock(path: string, now: () => number): Promise<(() => Promise<void>) | null> {
  const file = `${path}.lock`;
  await makeFolder(dirname(path));
  for (const began = performance.now(); performance.now() - began < STALE_LOCK_MS; ) {
    try {
      await (await open(file, 'wx', 0o600)).close();
      return () => rm(file, { force: true });
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) return null;
    }
    // One of an earlier day: its command cannot be waited for.
    if (await isOlder(file, now() - STALE_LOCK_MS)) await rm(file, { force: true });
    else await new Promise((resolve) => setTimeout(resolve, LOCK_POLL_MS));
  }
  // Whoever held it was killed.
  await rm(file, { force: true }).catch(() => {});
  return null;
}

async function isOlder(file: string, date: number): Promise<boolean> {
  const found = await stat(file).catch(() => null);
  return found !== null && found.mtimeMs < date;
}

/** The folder of the settings file. No homes are made for users who have none. */
async function makeFolder(folder: string): Promise<void> {
  const above = dirname(folder);
  if (dirname(above) === homedir()) await mkdir(above, { mode: 0o700 }).catch(() => {});
  await mkdir(folder, { mode: 0o700 }).catch(() => {});
}
