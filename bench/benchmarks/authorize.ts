import { createHash, randomBytes } from 'node:crypto';
import jwt from '@fastify/jwt';
import fastify from 'fastify';
import { SteadyClock } from '../../src/clock/clock.ts';
import type { Collection } from '../../src/contracts/collection.ts';
import { bearerToken, requireNeeds } from '../../src/http/access/bearer.ts';
import { tokenKey } from '../../src/http/access/rate-limit.ts';
import { AUDIENCE, Tokens } from '../../src/identity/access-tokens.ts';
import { Access } from '../../src/identity/authenticate.ts';
import { Identity } from '../../src/identity/directory/identity.ts';
import { Rates } from '../../src/identity/limits/rates.ts';
import { ownerKey } from '../../src/identity/rights/policy.ts';
import type { ApiTokenDocument } from '../../src/records/credentials.ts';
import type { DeviceDocument } from '../../src/records/subjects.ts';
import type { BenchContext, Benchmark } from '../bench.ts';
import { interleave, median } from '../rounds.ts';

const PRINCIPALS = 10_000;
const MAX_MICROSECONDS = 60;
const clock = new SteadyClock();

/** The signature of a JWT and the hash of an API token are checked once, then cached. */
export const authorize: Benchmark = {
  name: 'authorize',
  title: `time to authenticate and authorize a request, with ${PRINCIPALS} principals and as many valid API tokens`,
  limitSeconds: 30,
  async run(bench: BenchContext, deadline: number): Promise<void> {
    const stores = new Stores();
    const signatures = fastify();
    await signatures.register(jwt, {
      secret: randomBytes(64).toString('base64url'),
      sign: { algorithm: 'HS256' },
      verify: {
        algorithms: ['HS256'],
        allowedIss: 'lading',
        allowedAud: AUDIENCE,
        requiredClaims: ['sub', 'iss', 'aud', 'jti', 'iat', 'exp'],
      },
    });
    const start = () => startAccess(stores, signatures.jwt);
    const { tokens } = await start();
    const jwts = stores.clients.map((client) => {
      const principal = { id: client.clientId, tenant: 'default', kind: 'device' as const, role: client.role };
      return `Bearer ${tokens.issue({ ...principal, scopes: new Set() }).access_token}`;
    });
    const apiTokens = stores.tokens.map((token) => `Bearer ${token}`);
    // Use a new instance for every sample, so that no credential is cached.
    const first = (all: string[]) => async () => measure((await start()).access, all);
    const again = (all: string[]) => async () => {
      const { access } = await start();
      measure(access, all);
      return measure(access, all);
    };
    const before = stores.calls;
    const samples = await interleave(
      [
        { name: 'JWT', sample: again(jwts) },
        { name: 'API token', sample: again(apiTokens) },
        { name: 'JWT, first use', sample: first(jwts) },
        { name: 'API token, first use', sample: first(apiTokens) },
      ],
      bench.options.quick ? 1 : bench.options.rounds,
      deadline,
    );
    const targets = [...samples.keys()].map((of) => ({ of, to: null, sense: '<=' as const, bound: MAX_MICROSECONDS }));
    const note = `${stores.calls - before} accesses to the store`;
    bench.report.add(this.name, 'median of a request', 'µs', samples, targets, note);
    await signatures.close();
  },
};

/** Median microseconds from the header to the decision, over all principals in random order. */
function measure(access: Access, headers: string[]): number {
  const tokenRates = new Rates('token', 300_000, clock);
  const principalRates = new Rates('principal', 600_000, clock);
  const shuffled = headers.map((header) => ({ header, at: Math.random() })).sort((a, b) => a.at - b.at);
  const times = new Float64Array(headers.length);
  for (const [index, { header }] of shuffled.entries()) {
    const began = performance.now();
    const token = bearerToken(header) ?? '';
    const principal = access.bearer(token);
    tokenRates.take(tokenKey(token));
    principalRates.take(ownerKey(principal.tenant, principal.id));
    requireNeeds(principal, 'files:write');
    times[index] = (performance.now() - began) * 1000;
  }
  return median(times);
}

interface Signatures {
  sign(claims: object): string;
  verify(token: string): unknown;
}

async function startAccess(stores: Stores, signatures: Signatures): Promise<{ access: Access; tokens: Tokens }> {
  const identity = await Identity.open(stores.all(), clock, { refreshSeconds: 3600 });
  const tokens = new Tokens(
    {
      issuer: 'lading',
      sign: (claims) => signatures.sign(claims),
      verify: (token) => signatures.verify(token),
      subject: (kind, id) => identity.subject(kind, id),
      generationOf: (id) => identity.clients.find(id)?.generation,
      isAlive: (signIn) => identity.sessions.isAlive(signIn),
      clock,
      seconds: 3600,
    },
    identity.revoked,
  );
  return { access: new Access(identity, tokens), tokens };
}

/** Stores in memory that count the operations after the initial reads. */
class Stores {
  readonly clients: DeviceDocument[] = [];
  readonly tokens: string[] = [];
  calls = 0;
  readonly #apiTokens: ApiTokenDocument[] = [];

  constructor() {
    for (let n = 0; n < PRINCIPALS; n += 1) {
      const client = randomBytes(12).toString('hex');
      this.clients.push({
        clientId: client,
        tenant: 'default',
        role: 'client',
        name: null,
        secretHash: '',
        createdAt: n,
        lastUsed: null,
        notBefore: null,
      });
      const id = randomBytes(8).toString('hex');
      const token = `lat_${id}_${randomBytes(32).toString('base64url')}`;
      this.tokens.push(token);
      this.#apiTokens.push({
        id,
        tenant: 'default',
        owner: client,
        ownerKind: 'device',
        name: null,
        scopes: ['files:read', 'files:write'],
        hash: createHash('sha256').update(token).digest('hex'),
        createdAt: n,
        expiresAt: null,
        lastUsed: null,
        uses: 0,
      });
    }
  }

  all() {
    return {
      clients: this.#collection(this.clients),
      apiTokens: this.#collection(this.#apiTokens),
      people: this.#collection([]),
      sessions: this.#collection([]),
      shares: this.#collection([]),
      grants: this.#collection([]),
      revocations: this.#collection([]),
      tenants: this.#collection([]),
    };
  }

  #collection<T>(documents: T[]): Collection<T> {
    const called = <R>(result: R): Promise<R> => {
      this.calls += 1;
      return Promise.resolve(result);
    };
    return {
      list: () => Promise.resolve(documents),
      find: () => called(null),
      put: () => called(undefined),
      remove: () => called(false),
    };
  }
}
