/**
 * The body of a 206 with several parts, `multipart/byteranges` (RFC 9110 §14.6). Everything except the bytes of the file is built first, so
 * that Content-Length is exact.
 *
 *     --BOUNDARY CRLF Content-Type … CRLF Content-Range … CRLF CRLF <bytes 0-4> CRLF
 *     --BOUNDARY CRLF Content-Type … CRLF Content-Range … CRLF CRLF <bytes 10-14> CRLF
 *     --BOUNDARY-- CRLF
 */
import { randomBytes } from 'node:crypto';
import { type Extent, lengthOf } from '../../protocol/extents.ts';
import { formatContentRange } from '../../protocol/http/content-range.ts';
import type { Piece } from './sources.ts';

/** The body and its header fields. */
export interface Byteranges {
  /** Value of the response's Content-Type. */
  contentType: string;
  /** Length of the whole body, in bytes. */
  length: number;
  pieces: Piece[];
}

/**
 * Builds the body.
 * @param size of the representation; null while it is unknown
 * @param contentType media type of each part
 */
export function multipartByteranges(extents: readonly Extent[], size: number | null, contentType: string): Byteranges {
  // With 128 random bits, no stored file can contain the boundary on purpose.
  const boundary = `lading-${randomBytes(16).toString('hex')}`;
  const pieces: Piece[] = [];
  let before = '';
  for (const extent of extents) {
    const fields = `Content-Type: ${contentType}\r\nContent-Range: ${formatContentRange({ range: extent, size })}\r\n`;
    pieces.push(Buffer.from(`${before}--${boundary}\r\n${fields}\r\n`, 'latin1'), extent);
    before = '\r\n';
  }
  pieces.push(Buffer.from(`${before}--${boundary}--\r\n`, 'latin1'));
  const length = pieces.reduce((sum, piece) => sum + (piece instanceof Uint8Array ? piece.length : lengthOf(piece)), 0);
  return { contentType: `multipart/byteranges; boundary=${boundary}`, length, pieces };
}
