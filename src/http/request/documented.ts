/**
 * Header fields and errors for the OpenAPI document, beside the schemas that validate and serialize. They are read only when the document
 * is built. If they were in `schema.headers`, every request would be validated twice, with worse messages than those of the parsers.
 */
import type { TSchema } from 'typebox';
import type { ErrorCode } from '../../errors.ts';

declare module 'fastify' {
  interface FastifySchema {
    documented?: Documented;
  }
}

export interface Documented {
  /** Request fields that the route reads. */
  request?: readonly (keyof typeof REQUEST_FIELDS)[];
  /** Fields of successful replies, by status. Every reply has `X-Request-Id`. */
  replies?: Readonly<Record<number, readonly ReplyField[]>>;
  /** Errors of the route, besides those of all routes. */
  errors?: readonly ErrorCode[];
  /** Schema of the errors, if they are not problem documents. */
  refusal?: TSchema;
  /** Status of an error that browsers get as an HTML page. */
  pageStatus?: number;
  /** Bodies that no schema validates, by media type. */
  content?: Readonly<Record<string, { schema: TSchema }>>;
  /** True if the body is optional. */
  optionalBody?: boolean;
  /** True if the route writes nothing to the disk although its method is not safe. Other such routes may fail with `insufficient_storage`. */
  storesNothing?: true;
}

export interface Field {
  description: string;
  example: string;
  /** JSON Schema pattern of the value; any text by default. */
  pattern?: string;
}

const fields = <const Names extends string>(all: Record<Names, Field>): Record<Names, Field> => all;

const UPLOAD_FIELDS = fields({
  'Tus-Resumable': { description: 'Version of tus.', example: '1.0.0' },
  'Upload-Length': { description: 'Size of the whole upload in bytes.', example: '100', pattern: '^[0-9]+$' },
  'Upload-Offset': {
    description: 'Offset of the first byte of this request, or of the byte that the server needs next.',
    example: '70',
    pattern: '^[0-9]+$',
  },
  'Upload-Defer-Length': { description: '1: the length will be sent later.', example: '1', pattern: '^1$' },
  'Upload-Metadata': {
    description: 'Keys with Base64 values. The server reads filename and filetype.',
    example: 'filename YQ==',
  },
  'Upload-Complete': { description: '?1: the file ends with this request; ?0: more requests follow.', example: '?1' },
  'Upload-Draft-Interop-Version': {
    description: 'Version of the draft. A client that sends it receives 104 responses.',
    example: '8',
  },
  'Upload-Concat': {
    description: 'partial for a partial upload; final with the URLs of partial uploads for the file that they form.',
    example: 'final;/files/a.b /files/c.d',
  },
});

export const REQUEST_FIELDS = fields({
  ...UPLOAD_FIELDS,
  'Upload-Checksum': {
    description:
      'Algorithm (sha1, sha256, sha512, md5 or crc32) and Base64 checksum of the bytes of this request. May be a trailer.',
    example: 'sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=',
  },
  'Content-Disposition': { description: 'Name of the file, in filename.', example: 'attachment; filename="a.bin"' },
  'Content-Range': {
    description:
      'Range of the chunk, as in its header, and the size of the file or *. bytes */SIZE only declares the size (RFC 9110 §14.4).',
    example: 'bytes 0-4/10',
  },
  'X-Chunk-CRC32': {
    description: "CRC-32 (IETF) of the chunk's data, checked before anything is stored.",
    example: '3610a686',
    pattern: '^[0-9A-Fa-f]{8}$',
  },
  'Content-Digest': {
    description: 'sha-256 or sha-512 of the whole body of this request, including the chunk header (RFC 9530).',
    example: 'sha-256=:LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=:',
  },
  'Repr-Digest': {
    description: 'sha-256 or sha-512 of the whole file, checked before the file becomes complete (RFC 9530).',
    example: 'sha-256=:LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=:',
  },
  Range: {
    description: 'One or several ranges; they may be open or suffix ranges (RFC 9110 §14.2). GET only.',
    example: 'bytes=0-1023',
  },
  'If-Range': {
    description: 'ETag or Last-Modified of the bytes that the client has. Range applies only if the file is unchanged.',
    example: '"f1-5-3610a686"',
  },
  'If-Match': { description: 'Entity tags or *: 412 unless the file has one of them.', example: '"f1-5-3610a686"' },
  'If-None-Match': { description: 'Entity tags or *: 304 if the file has one of them.', example: '"f1-5-3610a686"' },
  'If-Modified-Since': {
    description: 'HTTP date: 304 if the file is not newer. Ignored with If-None-Match.',
    example: 'Wed, 21 Oct 2026 07:28:00 GMT',
  },
  'If-Unmodified-Since': {
    description: 'HTTP date: 412 if the file is newer. Ignored with If-Match.',
    example: 'Wed, 21 Oct 2026 07:28:00 GMT',
  },
  'Last-Event-ID': {
    description: 'Id of the last event that the client received. The server first sends the events since then.',
    example: '6f0c2a9be1d4-17',
  },
  'Want-Repr-Digest': {
    description:
      'Requests Repr-Digest, by algorithm and preference (RFC 9530). It is computed for small files if necessary.',
    example: 'sha-256=10, sha-512=3',
  },
  'Want-Content-Digest': {
    description: 'Requests Content-Digest, by algorithm and preference (RFC 9530). It is sent with small bodies only.',
    example: 'sha-256=10',
  },
});

export const REPLY_FIELDS = fields({
  ...UPLOAD_FIELDS,
  'Upload-Limit': {
    description: 'Largest size of a file in bytes, and seconds until the upload expires.',
    example: 'max-size=1000000, min-size=0, max-age=86400',
  },
  'Upload-Expires': {
    description: 'When the upload expires if no more bytes arrive.',
    example: 'Wed, 21 Oct 2026 07:28:00 GMT',
  },
  'X-Request-Id': {
    description: "Id of the request in the log; the client's own if it sent one.",
    example: 'k3Xq-1f',
  },
  'Accept-Ranges': { description: 'Byte ranges are supported.', example: 'bytes' },
  Allow: { description: 'Methods of this resource.', example: 'GET, HEAD, OPTIONS' },
  'Cache-Control': { description: 'Rules for caches (RFC 9111).', example: 'no-store' },
  'Content-Digest': {
    description: 'Digest of this content, if the client requested one and the content is small (RFC 9530).',
    example: 'sha-256=:LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=:',
  },
  'Content-Disposition': { description: 'Name under which to save the file.', example: 'attachment; filename="a.bin"' },
  'Content-Length': {
    description: 'Length of the content in bytes, if it is known.',
    example: '5',
    pattern: '^[0-9]+$',
  },
  'Content-Range': {
    description: 'Range of the content and size of the file, unless there are several parts. In a 416: bytes */SIZE.',
    example: 'bytes 0-4/10',
  },
  ETag: { description: 'Strong entity tag of the file once it is readable.', example: '"f1-5-3610a686"' },
  'Last-Modified': { description: 'When the file became complete.', example: 'Wed, 21 Oct 2026 07:28:00 GMT' },
  Link: {
    description: 'URL of the next page (RFC 8288); absent on the last page.',
    example: '</v1/audio/?limit=100&cursor=c1>; rel="next"',
  },
  Location: { description: 'URL of the object that was created.', example: '/api/clients/c1' },
  'Repr-Digest': {
    description:
      'Digest of the whole file: the one that was sent with the upload, or one that the client requested (RFC 9530).',
    example: 'sha-256=:LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=:',
  },
  'Retry-After': { description: 'Seconds to wait before the next attempt.', example: '5', pattern: '^[0-9]+$' },
  'Set-Cookie': {
    description:
      'The cookies access_token and refresh_token, one field each. They are expired if the session has ended.',
    example: 'access_token=…; Max-Age=1800; Path=/; HttpOnly; Secure; SameSite=Lax',
  },
  'WWW-Authenticate': { description: 'How to authenticate (RFC 6750).', example: 'Bearer error="invalid_token"' },
});
export type ReplyField = keyof typeof REPLY_FIELDS;

/** Fields of every reply of routes that have rate limits, unless the request was refused before routing. */
export const RATE_FIELDS = fields({
  RateLimit: {
    description:
      'Requests (r) that the address, the token and the principal may still send, and seconds (t) until they may send more ' +
      '(draft-ietf-httpapi-ratelimit-headers-10). Replies to chunks, status, downloads and metrics contain it once half of the limit is used.',
    example: '"address";r=1199998;t=1, "token";r=299998;t=1, "principal";r=599998;t=1',
  },
  'RateLimit-Policy': {
    description: 'Requests (q) that each may send within w seconds; sent with RateLimit.',
    example: '"address";q=1200000;w=60, "token";q=300000;w=60, "principal";q=600000;w=60',
  },
});

/** Errors of every route that works only while the server is ready. */
export const WORKING = ['overloaded', 'shutting_down'] as const satisfies readonly ErrorCode[];
/** Errors of every route that needs a sign-in. */
export const SIGNED_IN = ['unauthorized', 'rate_limited', ...WORKING] as const satisfies readonly ErrorCode[];
/** Errors of routes that read a small body, if they cannot accept it. */
export const SMALL_BODY = [
  'length_mismatch',
  'chunk_too_large',
  'unsupported_media_type',
  'validation_failed',
] as const satisfies readonly ErrorCode[];
