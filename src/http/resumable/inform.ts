/** Sends 104 (Upload Resumption Supported), an interim response, while the request still arrives. */
import type { FastifyReply } from 'fastify';
import type { InteropVersion } from '../../protocol/http/resumable.ts';

/**
 * Sends a 104 with the fields. Node 20 has no API for it. On HTTP/1.1 this writes to the socket, which a response has only when its turn
 * comes (pipelining); on HTTP/2 it sends a header block. Clients ignore unknown interim responses (RFC 9110 §15.2), but only clients that
 * named a version get one.
 */
export function inform({ raw }: FastifyReply, version: InteropVersion, fields: Record<string, string>): void {
  if (raw.headersSent || raw.destroyed) return;
  const all = { 'upload-draft-interop-version': String(version), ...fields };
  if ('stream' in raw) {
    const stream = raw.stream as { additionalHeaders(headers: Record<string, string | number>): void };
    stream.additionalHeaders({ ':status': 104, ...all });
    return;
  }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  raw.socket?.write(`HTTP/1.1 104 Upload Resumption Supported\r\n${lines.join('')}\r\n`, 'latin1');
}
