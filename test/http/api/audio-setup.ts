/** Helpers of the tests of audio. */
import assert from 'node:assert/strict';
import type { AudioFile } from '../../../src/protocol/schemas/audio.ts';
import type { Account, TestServer } from '../../support/product/server.ts';

export type Fields = Record<string, string>;

export type Who = Pick<Account, 'headers'>;

export function formOf(part: string, bytes: Uint8Array, fileName: string | null, fields: Fields = {}): FormData {
  const form = new FormData();
  if (fileName === null) form.set(part, 'text');
  else form.set(part, new Blob([new Uint8Array(bytes)]), fileName);
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  return form;
}

export async function post({ origin }: TestServer, who: Who, path: string, form: FormData | string): Promise<Response> {
  return await fetch(`${origin}${path}`, { method: 'POST', headers: who.headers, body: form });
}

export async function upload(
  server: TestServer,
  bytes: Uint8Array,
  name: string,
  query = '',
  fields: Fields = {},
): Promise<AudioFile> {
  const reply = await post(server, server.client, `/v1/audio/file${query}`, formOf('file', bytes, name, fields));
  const text = await reply.text();
  assert.equal(reply.status, 200, text);
  return JSON.parse(text) as AudioFile;
}

export async function listed({ origin }: TestServer, { headers }: Who, query = ''): Promise<AudioFile[]> {
  const reply = await fetch(`${origin}/v1/audio/${query}`, { headers });
  assert.equal(reply.status, 200);
  return (await reply.json()) as AudioFile[];
}

export async function namesOf({ origin, client }: TestServer): Promise<string[]> {
  const reply = await fetch(`${origin}/api/files`, { headers: client.headers });
  return ((await reply.json()) as { files: { filename: string }[] }).files.map(({ filename }) => filename);
}

export async function refused(reply: Response, status: number, code: string): Promise<void> {
  const problem = (await reply.json()) as { code: string };
  assert.deepEqual([reply.status, problem.code], [status, code]);
}
