/** Requests of an administrator about targets and deliveries. */
import assert from 'node:assert/strict';
import type {
  Delivery,
  DeliveryPage,
  NewTarget,
  Target,
  TargetCreated,
} from '../../../src/protocol/schemas/delivery.ts';
import type { FileStatus } from '../../../src/protocol/schemas/files.ts';
import { eventually } from '../eventually.ts';
import { FTP_PASSWORD, FTP_USER, type FtpServer } from '../servers/ftp-server.ts';
import { put } from '../wire/downloads.ts';
import type { TestServer } from './server.ts';

/** Allows webhooks to this machine, with short pauses between attempts. */
export const WEBHOOK_SETTINGS = { LADING_WEBHOOK_PRIVATE: 'on', LADING_DELIVERY_RETRY_SECONDS: '1' };

export async function addTarget(server: TestServer, ftp: FtpServer, more: Partial<NewTarget> = {}): Promise<Target> {
  const body = {
    kind: 'ftp',
    name: 'archive',
    host: '127.0.0.1',
    port: ftp.port,
    username: FTP_USER,
    password: FTP_PASSWORD,
    ...more,
  };
  const reply = await post(server, '/api/deliveries/targets', body);
  assert.equal(reply.status, 201, await reply.clone().text());
  return (await reply.json()) as Target;
}

export function post({ origin, admin }: TestServer, path: string, body: object): Promise<Response> {
  const headers = { ...admin.headers, 'content-type': 'application/json' };
  return fetch(`${origin}${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
}

/** The status of a file of the ordinary client, as an administrator sees it. */
export async function statusOf({ origin, admin, client }: TestServer, name: string): Promise<FileStatus> {
  const reply = await fetch(`${origin}/api/files/status/${name}?owner=${client.id}`, { headers: admin.headers });
  return (await reply.json()) as FileStatus;
}

export async function deliveries({ origin, admin }: TestServer, query = ''): Promise<Delivery[]> {
  const reply = await fetch(`${origin}/api/deliveries${query}`, { headers: admin.headers });
  assert.equal(reply.status, 200);
  return ((await reply.json()) as DeliveryPage).deliveries;
}

/** Uploads a whole file in chunks of 8 MiB. */
export async function store(server: TestServer, name: string, bytes: Buffer, query: Record<string, string> = {}) {
  const chunk = 8 * 1024 * 1024;
  for (let start = 0; start < bytes.length; start += chunk) {
    const total = { total_size: String(bytes.length), ...query };
    await put(server, name, start, bytes.subarray(start, start + chunk), total);
  }
}

/** Waits until all deliveries of a file have ended; returns them. */
export async function settled(server: TestServer, name: string): Promise<NonNullable<FileStatus['deliveries']>> {
  let found: FileStatus['deliveries'];
  await eventually(async () => {
    found = (await statusOf(server, name)).deliveries;
    return found?.every(({ state }) => state !== 'queued' && state !== 'sending') ?? false;
  }, `the end of the deliveries of ${name}`);
  return found ?? [];
}

export async function addHook(server: TestServer, url: string, more: Partial<NewTarget> = {}): Promise<TargetCreated> {
  const reply = await fetch(`${server.origin}/api/deliveries/targets`, {
    method: 'POST',
    headers: { ...server.admin.headers, 'content-type': 'application/json' },
    body: JSON.stringify({ kind: 'webhook', url, ...more }),
  });
  assert.equal(reply.status, 201, await reply.clone().text());
  return (await reply.json()) as TargetCreated;
}
