/** Format of refresh tokens: the id of the session and 256 random bits, of which only a hash is stored. */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { SealedBox } from '../state/sealed-box.ts';

const TOKEN = /^lrt_([0-9a-f]{32})_[\w-]{43}$/;

/** The session id in a refresh token; null for any other text. */
export function familyIdOf(text: string): string | null {
  return TOKEN.exec(text)?.[1] ?? null;
}

/** Generates a refresh token for a session. */
export function makeToken(id: string): string {
  return `lrt_${id}_${randomBytes(32).toString('base64url')}`;
}

/** The hash of a token, as stored. */
export function hashOf(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}

/** A box whose key is derived from the token. The token is not stored, so only its holder can open the box. */
export function boxOf(token: string): SealedBox {
  return new SealedBox(createHash('sha256').update(`successor of ${token}`).digest());
}

/** True if this is the hash of the token. Takes the same time for every token. */
export function isHashOf(hash: string, token: string): boolean {
  return timingSafeEqual(Buffer.from(hash, 'hex'), createHash('sha256').update(token).digest());
}
