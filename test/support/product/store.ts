/** Stores a file of a test on the server. */
import assert from 'node:assert/strict';

export async function store(
  origin: string,
  authorization: string,
  name: string,
  body: Uint8Array,
  type: string,
): Promise<void> {
  const headers = { authorization, 'content-type': type };
  const reply = await fetch(`${origin}/api/files/content/${encodeURIComponent(name)}`, {
    method: 'PUT',
    headers,
    body,
  });
  assert.ok(reply.ok, await reply.text());
}
