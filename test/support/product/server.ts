/** A server with a data directory of its own and a free port, with a signed-in administrator and client; closed after the test. */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { type App, compose, type Substitutes } from '../../../src/compose/compose.ts';
import type { TokenReply } from '../../../src/protocol/schemas/identity/sign-in.ts';
import type { Role } from '../../../src/protocol/schemas/role.ts';
import type { Subject } from '../../../src/records/principal.ts';
import { loadConfig } from '../../../src/settings/load-config.ts';
import { checkAnswers } from '../tables/checked-answers.ts';

export interface Account {
  id: string;
  secret: string;
  token: string;
  /** `{ authorization: 'Bearer …' }` */
  headers: { authorization: string };
}

export interface TestServer {
  app: App;
  /** `http://127.0.0.1:PORT` */
  origin: string;
  port: number;
  dataDir: string;
  admin: Account;
  client: Account;
  /** Enrols one more client. */
  enrol(role?: Role): Promise<Account>;
  /** Stops the server before the end of the test, and keeps the data directory. */
  close(): Promise<void>;
}

/** Settings by the name of their variable. All others have their defaults; the environment is ignored. */
export type TestSettings = Record<string, string>;

const endings = new WeakMap<TestContext, (() => Promise<void>)[]>();

/** Runs `end` after the test, in reverse order of registration, unlike `t.after`. */
export function atEnd(t: TestContext, end: () => Promise<void>): void {
  const known = endings.get(t);
  if (known) {
    known.push(end);
    return;
  }
  const list = [end];
  endings.set(t, list);
  t.after(async () => {
    for (const next of list.reverse()) await next();
  });
}

/** The administrator of every test server. */
export const ADMIN = { id: 'test-admin', secret: 'the-secret-of-the-test-administrator' };

/** @param dataDir an existing data directory, which is kept; by default a new one, which is deleted */
export async function startServer(
  t: TestContext,
  settings: TestSettings = {},
  substitutes: Substitutes = {},
  dataDir?: string,
): Promise<TestServer> {
  const folder = dataDir ?? (await mkdtemp(join(tmpdir(), 'lading-test-')));
  const { config } = loadConfig(
    {},
    {
      LADING_HOST: '127.0.0.1',
      LADING_PORT: '0',
      LADING_DATA_DIR: folder,
      LADING_ADMIN_ID: ADMIN.id,
      LADING_ADMIN_SECRET: ADMIN.secret,
      LADING_LOG_LEVEL: 'silent',
      LADING_WORKERS: '1',
      ...(process.env.LADING_TEST_STORE ? { LADING_STORAGE: process.env.LADING_TEST_STORE } : {}),
      LADING_SHUTDOWN_SECONDS: '5',
      ...settings,
    },
  );
  const app = await compose(config, substitutes);
  const assertTruthful = checkAnswers(app.server);
  let closed: Promise<void> | null = null;
  const close = (): Promise<void> => {
    closed ??= app.close();
    return closed;
  };
  if (dataDir === undefined) atEnd(t, () => rm(folder, { recursive: true, force: true }));
  atEnd(t, async () => assertTruthful());
  atEnd(t, close);
  const origin = await app.start();
  const { port } = app.server.server.address() as AddressInfo;
  const admin = { ...ADMIN, ...sign(app, ADMIN.id, 'admin') };
  const enrol = async (role: Role = 'client'): Promise<Account> => {
    const reply = await app.server.inject({
      method: 'POST',
      url: '/api/clients',
      headers: admin.headers,
      payload: { role },
    });
    const created = reply.json<{ client_id: string; client_secret: string }>();
    return { id: created.client_id, secret: created.client_secret, ...sign(app, created.client_id, role) };
  };
  return { app, origin, port, dataDir: folder, admin, client: await enrol(), enrol, close };
}

/** Signs an access token like that of `/auth/token`, without hashing a password. */
export function sign(
  app: App,
  id: string,
  role: Role,
  kind: Subject['kind'] = 'device',
  /** The scopes of the token, separated by spaces. */
  scope?: string,
): Pick<Account, 'token' | 'headers'> {
  const iat = Math.floor(Date.now() / 1000);
  const claims = {
    sub: id,
    kind,
    role,
    iss: issuerOf(app),
    aud: 'lading',
    jti: randomUUID(),
    iat,
    exp: iat + 3600,
    ...(scope === undefined ? {} : { scope }),
  };
  const token = app.server.jwt.sign(claims);
  return { token, headers: { authorization: `Bearer ${token}` } };
}

/** Signs in over HTTP. */
export async function signIn(origin: string, username: string, password: string): Promise<TokenReply> {
  const reply = await fetch(`${origin}/auth/token`, {
    method: 'POST',
    body: new URLSearchParams({ username, password }),
  });
  if (!reply.ok) throw new Error(`sign-in refused: ${reply.status} ${await reply.text()}`);
  return (await reply.json()) as TokenReply;
}

/** The issuer that the server accepts in tokens. */
function issuerOf(app: App): string {
  const { allowedIss } = app.server.jwt.options.verify ?? {};
  if (typeof allowedIss !== 'string') throw new Error('the server pins no issuer');
  return allowedIss;
}
