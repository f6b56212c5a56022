/** Signs and verifies access tokens: JWT (RFC 7519) with exactly one algorithm. */
import jwt from '@fastify/jwt';
import type { FastifyInstance } from 'fastify';
import { AUDIENCE, type Claims } from '../../identity/access-tokens.ts';
import type { KeyRing } from '../../identity/credentials/signing-keys.ts';

/** The issuer of a server without a public URL. */
export const ISSUER = 'lading';

/** One secret that signs and verifies, or keys that rotate. */
export type JwtKeys = { algorithm: 'HS256'; secret: string } | KeyRing;

/** The functions that sign and verify. */
export interface Signatures {
  sign(claims: Claims): string;
  /**
   * Returns the claims. Throws for another algorithm, an unknown key, issuer or audience, or a wrong signature. The caller checks the
   * expiry, because `exp` is a date and the clock may be set.
   */
  verify(token: string): unknown;
}

/** Registers the JWT plugin. Call it once, while the server is built. */
export function registerSignatures(app: FastifyInstance, keys: JwtKeys, issuer: string): Signatures {
  const { algorithm } = keys;
  const rules = {
    algorithms: [algorithm],
    allowedIss: issuer,
    allowedAud: AUDIENCE,
    requiredClaims: ['sub', 'iss', 'aud', 'jti', 'iat', 'exp'],
    ignoreExpiration: true,
  };
  if ('secret' in keys) {
    app.register(jwt, { secret: keys.secret, sign: { algorithm }, verify: rules });
    return {
      sign: (claims) => app.jwt.sign(claims),
      verify: (token) => app.jwt.verify(token),
    };
  }
  const { privateKey, publicKey, kid } = keys.current;
  app.register(jwt, {
    secret: { private: privateKey, public: publicKey },
    sign: { algorithm, kid },
    verify: rules,
  });
  return {
    sign: (claims) => {
      const key = keys.current;
      return app.jwt.sign(claims, { algorithm, kid: key.kid, key: key.privateKey });
    },
    verify: (token) => {
      const key = keys.find(kidOf(app, token));
      if (!key) throw new Error('unknown key');
      return app.jwt.verify(token, { key: key.publicKey });
    },
  };
}

/** The key id that the token claims; it is not verified yet. */
function kidOf(app: FastifyInstance, token: string): string {
  const decoded: { header?: { kid?: unknown } } | null = app.jwt.decode(token, { complete: true });
  const kid = decoded?.header?.kid;
  return typeof kid === 'string' ? kid : '';
}
