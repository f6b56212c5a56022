/**
 * What the OpenAPI document says beyond the schemas that validate and serialise: header fields and refusals. It is read only when the
 * document is made. As `schema.headers` the fields would be checked once more on every request, in other words than the parsers' own.
 */
import type { TSchema } from 'typebox';
import type { ErrorCode } from '../../errors.ts';

declare module 'fastify' {
  interface FastifySchema {
    documented?: Documented;
  }
}

export interface Documented {
  /** Fields of the request that have a meaning. */
  request?: readonly (keyof typeof REQUEST_FIELDS)[];
  /** Fields of a success, by status; `X-Request-Id` is everywhere. */
  replies?: Readonly<Record<number, readonly ReplyField[]>>;
  /** What the route refuses by, besides what any route does. */
  errors?: readonly ErrorCode[];
  /** How it writes them, if not as problem documents. */
  refusal?: TSchema;
  /** Bodies that no schema validates, by media type. */
  content?: Readonly<Record<string, { schema: TSchema }>>;
  /** True where a request may come without a body. */
  optionalBody?: boolean;
}

export interface Field {
  description: string;
  example: string;
  /** Of the value, as JSON Schema; any text by default. */
  pattern?: string;
}

const fields = <const Names extends string>(all: Record<Names, Field>): Record<Names, Field> => all;

const UPLOAD_FIELDS = fields({
  'Tus-Resumable': { description: 'The version of tus that is spoken.', example: '1.0.0' },
  'Upload-Length': { description: 'Bytes of the whole upload.', example: '100', pattern: '^[0-9]+$' },
  'Upload-Offset': { description: 'Where the bytes begin, or go on.', example: '70', pattern: '^[0-9]+$' },
  'Upload-Defer-Length': { description: '1: the length follows later.', example: '1', pattern: '^1$' },
  'Upload-Metadata': {
    description: 'Keys and Base64 values, filename and filetype among them.',
    example: 'filename YQ==',
  },
  'Upload-Complete': { description: '?1: the file ends with this request; ?0: more is to come.', example: '?1' },
  'Upload-Draft-Interop-Version': {
    description: 'The version of resumable uploads that is spoken; with it, 104 is sent.',
    example: '8',
  },
  'Upload-Concat': {
    description: 'partial: a piece of files to come. final; and addresses of such pieces: the file that they make.',
    example: 'final;/files/a.b /files/c.d',
  },
});

export const REQUEST_FIELDS = fields({
  ...UPLOAD_FIELDS,
  'Upload-Checksum': {
    description: 'sha1, sha256, sha512, md5 or crc32 of the bytes of this request, and Base64; as a trailer, too.',
    example: 'sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=',
  },
  'Content-Disposition': { description: 'The name, as filename.', example: 'attachment; filename="a.bin"' },
  'Content-Range': {
    description:
      "Where the chunk lies, as in its header, and the file's size or *. bytes */SIZE says the size alone (RFC 9110 §14.4).",
    example: 'bytes 0-4/10',
  },
  'X-Chunk-CRC32': {
    description: "CRC-32 (IETF) of the chunk's data, compared before anything is stored.",
    example: '3610a686',
    pattern: '^[0-9A-Fa-f]{8}$',
  },
  'Content-Digest': {
    description: 'sha-256 or sha-512 of the whole body of this request, chunk header included (RFC 9530).',
    example: 'sha-256=:LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=:',
  },
  'Repr-Digest': {
    description: 'sha-256 or sha-512 of the whole file, compared before it becomes complete (RFC 9530).',
    example: 'sha-256=:LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=:',
  },
  Range: {
    description: 'One range or several; open and suffix ranges too (RFC 9110 §14.2). Of GET only.',
    example: 'bytes=0-1023',
  },
  'If-Range': {
    description: 'ETag or Last-Modified of what is there already: Range counts only if the file is still that one.',
    example: '"f1-5-3610a686"',
  },
  'If-Match': { description: 'Entity tags or *: 412 unless the file has one of them.', example: '"f1-5-3610a686"' },
  'If-None-Match': { description: 'Entity tags or *: 304 if the file has one of them.', example: '"f1-5-3610a686"' },
  'If-Modified-Since': {
    description: 'HTTP date: 304 if the file is not newer. Without If-None-Match only.',
    example: 'Wed, 21 Oct 2026 07:28:00 GMT',
  },
  'If-Unmodified-Since': {
    description: 'HTTP date: 412 if the file is newer. Without If-Match only.',
    example: 'Wed, 21 Oct 2026 07:28:00 GMT',
  },
  'Last-Event-ID': {
    description: 'The id of the last event that came: what happened since is sent first.',
    example: '6f0c2a9be1d4-17',
  },
  'Want-Repr-Digest': {
    description: 'Asks for Repr-Digest by algorithm and preference (RFC 9530); a small file has it made if need be.',
    example: 'sha-256=10, sha-512=3',
  },
  'Want-Content-Digest': {
    description: 'Asks for Content-Digest by algorithm and preference (RFC 9530); sent with small contents.',
    example: 'sha-256=10',
  },
});

export const REPLY_FIELDS = fields({
  ...UPLOAD_FIELDS,
  'Upload-Limit': {
    description: "A file's most bytes, and for how many seconds the upload still lives.",
    example: 'max-size=1000000, min-size=0, max-age=86400',
  },
  'Upload-Expires': {
    description: 'When the upload is removed if nothing more comes.',
    example: 'Wed, 21 Oct 2026 07:28:00 GMT',
  },
  'X-Request-Id': {
    description: "The request's id, to be found in the log; its own if it sent one.",
    example: 'k3Xq-1f',
  },
  'Accept-Ranges': { description: 'Ranges of bytes may be asked for.', example: 'bytes' },
  Allow: { description: 'The methods that are answered here.', example: 'GET, HEAD, OPTIONS' },
  'Cache-Control': { description: 'What caches may do.', example: 'no-store' },
  'Content-Digest': {
    description: 'Digest of this content, where it was wanted of a small one (RFC 9530).',
    example: 'sha-256=:LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=:',
  },
  'Content-Disposition': { description: 'Under which name to save the file.', example: 'attachment; filename="a.bin"' },
  'Content-Length': { description: 'Bytes of the content, where they are known.', example: '5', pattern: '^[0-9]+$' },
  'Content-Range': {
    description: 'Which bytes these are and of how many, unless there are several parts; of a 416 bytes */SIZE.',
    example: 'bytes 0-4/10',
  },
  ETag: { description: 'Strong entity tag of the file once it is readable.', example: '"f1-5-3610a686"' },
  'Last-Modified': { description: 'When the file became complete.', example: 'Wed, 21 Oct 2026 07:28:00 GMT' },
  Link: {
    description: 'Where the next page is (RFC 8288); absent at the end.',
    example: '</v1/audio/?limit=100&cursor=c1>; rel="next"',
  },
  Location: { description: 'The client that was made.', example: '/api/clients/c1' },
  'Repr-Digest': {
    description: 'Digest of the whole file: the one it was uploaded with, or one that was wanted (RFC 9530).',
    example: 'sha-256=:LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=:',
  },
  'Retry-After': { description: 'Seconds to wait before the next try.', example: '5', pattern: '^[0-9]+$' },
  'Set-Cookie': {
    description: 'The cookies access_token and refresh_token, a field each; out of date when the sign-in has ended.',
    example: 'access_token=…; Max-Age=1800; Path=/; HttpOnly; Secure; SameSite=Lax',
  },
  'WWW-Authenticate': { description: 'How to sign in (RFC 6750).', example: 'Bearer error="invalid_token"' },
});
export type ReplyField = keyof typeof REPLY_FIELDS;

/** Fields of every reply of the routes that have rate limits, those of one that is refused before it is routed excepted. */
export const RATE_FIELDS = fields({
  RateLimit: {
    description:
      'How many requests (r) the address, the token and the caller have left, and in how many seconds (t) more of them ' +
      '(draft-ietf-httpapi-ratelimit-headers-10). Chunks, status, downloads and metrics say so once half are used.',
    example: '"address";r=1199998;t=1, "token";r=299998;t=1, "principal";r=599998;t=1',
  },
  'RateLimit-Policy': {
    description: 'How many requests (q) each may send in so many seconds (w); sent with RateLimit.',
    example: '"address";q=1200000;w=60, "token";q=300000;w=60, "principal";q=600000;w=60',
  },
});

/** Refusals of every route that works only while the server takes requests. */
export const WORKING = ['overloaded', 'shutting_down'] as const satisfies readonly ErrorCode[];
/** …and only for those who have signed in. */
export const SIGNED_IN = ['unauthorized', 'rate_limited', ...WORKING] as const satisfies readonly ErrorCode[];
/** Of a route that reads a small body whole, for bodies that it cannot take. */
export const SMALL_BODY = [
  'length_mismatch',
  'chunk_too_large',
  'unsupported_media_type',
  'validation_failed',
] as const satisfies readonly ErrorCode[];
