/**
 * A token cache beside the settings file saves a sign-in per command. Entries are keyed by server, client id and secret. Only
 * the owner can read the file, which is replaced atomically. A lock is held during a sign-in, so that commands that start together
 * sign in once.
 */
import { createHash } from 'node:crypto';
import { mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import type { IssuedToken, TokenStore } from '../../client/calls/session.ts';
import { readSmallFile } from '../../settings/small-file.ts';

/** A token that expires sooner is not used, because the command itself takes time. */
const MIN_REMAINING_MS = 60_000;
const MAX_TOKENS = 50;
/** An older lock belongs to a killed command: no sign-in takes this long. */
const STALE_LOCK_MS = 30_000;
const LOCK_POLL_MS = 25;

/** Entries by `keyOf`; `expires_at` in milliseconds since 1970. */
type StoredTokens = Record<string, { token: string; expires_at: number }>;

/** The server and the client to which a token belongs. */
export interface Identity {
  server: string;
  clientId: string;
  clientSecret: string;
}

/** The path of the cache, beside the settings file. */
export function tokensPathOf(configPath: string): string {
  return join(dirname(configPath), 'tokens.json');
}

/** A store for the token of one identity. If the file cannot be written, every command signs in. */
export function tokenStore(path: string, identity: Identity, now: () => number = Date.now): TokenStore {
  const key = keyOf(identity);
  const find = async (refused: string | null): Promise<IssuedToken | null> => {
    const stored = (await readTokens(path))[key];
    if (stored === undefined || stored.token === refused) return null;
    const left = stored.expires_at - now();
    return left > MIN_REMAINING_MS ? { token: stored.token, lifeMs: left } : null;
  };
  return async (refused, signIn) => {
    const known = await find(refused);
    if (known !== null) return known;
    const unlock = await lock(path, now);
    if (unlock === null) return signIn();
    try {
      const current = await find(refused);
      if (current !== null) return current;
      await change(path, (tokens) => delete tokens[key], now).catch(() => {});
      const issued = await signIn();
      const expires = now() + issued.lifeMs;
      if (Number.isFinite(expires)) {
        await change(
          path,
          (tokens) => {
            tokens[key] = { token: issued.token, expires_at: Math.floor(expires) };
          },
          now,
        ).catch(() => {});
      }
      return issued;
    } finally {
      await unlock();
    }
  };
}

/** Removes all cached tokens. */
export async function forgetTokens(path: string): Promise<void> {
  await rm(path, { force: true });
}

/** Hashes the secret together with server and id, so that the key alone does not reveal a guessable secret. */
function keyOf({ server, clientId, clientSecret }: Identity): string {
  return createHash('sha256')
    .update(JSON.stringify([server, clientId, clientSecret]))
    .digest('hex');
}

/** Reads the cache. Ignores a file that others can read or change. */
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

async function change(path: string, edit: (tokens: StoredTokens) => void, now: () => number): Promise<void> {
  const tokens = await readTokens(path);
  edit(tokens);
  const valid = Object.entries(tokens)
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

/** Takes the lock. Returns null if it cannot be created, for example in another user's directory; then nothing is cached. */
async function lock(path: string, now: () => number): Promise<(() => Promise<void>) | null> {
  const file = `${path}.lock`;
  await makeDirectory(dirname(path));
  for (const began = performance.now(); performance.now() - began < STALE_LOCK_MS; ) {
    try {
      await (await open(file, 'wx', 0o600)).close();
      return () => rm(file, { force: true });
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) return null;
    }
    // A stale lock: its command will not release it.
    if (await isOlder(file, now() - STALE_LOCK_MS)) await rm(file, { force: true });
    else await new Promise((resolve) => setTimeout(resolve, LOCK_POLL_MS));
  }
  // The process that held the lock was killed.
  await rm(file, { force: true }).catch(() => {});
  return null;
}

async function isOlder(file: string, date: number): Promise<boolean> {
  const found = await stat(file).catch(() => null);
  return found !== null && found.mtimeMs < date;
}

/** Creates the directory of the settings file, but never a home directory. */
async function makeDirectory(directory: string): Promise<void> {
  const above = dirname(directory);
  if (dirname(above) === homedir()) await mkdir(above, { mode: 0o700 }).catch(() => {});
  await mkdir(directory, { mode: 0o700 }).catch(() => {});
}
