/** 104 (Upload Resumption Supported): an interim response, sent while the request still comes in. */
import type { FastifyReply } from 'fastify';
import type { InteropVersion } from '../../protocol/http/resumable.ts';

/**
 * Node 20 has no API for it. On HTTP/1.1 it is written to the socket, which a response has only when it is its turn; on HTTP/2 it
 * is a header block. A client that does not know this status ignores it (RFC 9110 §15.2), but only those that named a version
 * get one.
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
