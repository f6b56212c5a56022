/** Converts all errors to problem documents (RFC 9457): those of the server, of the framework, and unexpected ones. */
import { CATALOGUE, LadingError, type ProblemMembers } from '../../errors.ts';

export const PROBLEM_TYPE = 'application/problem+json';

/** A problem document. Its members are sent in the order of these fields. */
export interface ProblemDocument extends ProblemMembers {
  type: string;
  title: string;
  status: number;
  detail: string;
  code: string;
  instance?: string;
}

/** An error that is ready to send. */
export interface ProblemReply {
  status: number;
  headers: Record<string, string>;
  body: Buffer;
}

/** Writes an error as a reply. */
export type Refusal = typeof problemReply;

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Writes errors, for routes whose specification defines another form. */
    refusal?: Refusal;
  }
}

/** RFC 9457 §3.1.1 recommends an absolute URI. With a URN, nobody expects a page there. */
function problemType(code: string): string {
  return `urn:problem:lading:${code}`;
}

/** The reply for an error. @param credentials true if the request had credentials; then RFC 6750 §3.1 requires a reason */
export function problemReply(error: LadingError, requestId: string | null, credentials: boolean): ProblemReply {
  const { status, title } = CATALOGUE[error.code];
  const document: ProblemDocument = {
    type: problemType(error.code),
    title,
    status,
    detail: error.message,
    code: error.code,
    ...(requestId === null ? {} : { instance: `urn:request:${requestId}` }),
    ...error.members,
  };
  const body = Buffer.from(JSON.stringify(document));
  const headers: Record<string, string> = { 'content-type': PROBLEM_TYPE, 'content-length': String(body.length) };
  const { retry_after: wait, total_bytes: total } = error.members;
  if (wait !== undefined) headers['retry-after'] = String(Math.max(1, Math.ceil(wait)));
  if (error.code === 'range_not_satisfiable') headers['content-range'] = `bytes */${total ?? '*'}`;
  if (error.code === 'unauthorized') headers['www-authenticate'] = challenge(credentials);
  if (error.code === 'insufficient_scope')
    headers['www-authenticate'] = `Bearer error="insufficient_scope", scope="${error.members.scope ?? 'admin'}"`;
  return { status, headers, body };
}

/** The same error with its detail also in the member `error`. */
export function withError(error: LadingError): LadingError {
  return new LadingError(error.code, error.message, { ...error.members, error: error.message }, { cause: error });
}

/** Changes a reply for another protocol. */
export function amended(
  { status, headers, body }: ProblemReply,
  change: { status?: number; headers?: Record<string, string>; members?: Record<string, unknown> },
): ProblemReply {
  const document: object = JSON.parse(body.toString('utf8'));
  const as = change.status ?? status;
  const changed = Buffer.from(JSON.stringify({ ...document, status: as, ...change.members }));
  return {
    status: as,
    headers: { ...headers, ...change.headers, 'content-length': String(changed.length) },
    body: changed,
  };
}

function challenge(credentials: boolean): string {
  return credentials ? 'Bearer error="invalid_token", error_description="invalid or expired"' : 'Bearer';
}

/** Properties of errors of the framework and of node. */
interface ForeignError {
  code?: unknown;
  statusCode?: unknown;
  validation?: unknown;
  message?: unknown;
}

/** Errors of the framework and its plugins, by code. */
const FRAMEWORK: Record<string, () => LadingError> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: () =>
    new LadingError(
      'unsupported_media_type',
      'This route does not accept this Content-Type. See /docs for the media types of each route.',
    ),
  FST_ERR_CTP_BODY_TOO_LARGE: () => new LadingError('chunk_too_large', 'The request body is too large for this route.'),
  FST_ERR_CTP_EMPTY_JSON_BODY: () => new LadingError('invalid_request', 'The body is empty; JSON is expected.'),
  FST_ERR_CTP_INVALID_JSON_BODY: () => new LadingError('invalid_request', 'The body is not valid JSON.'),
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: () =>
    new LadingError('length_mismatch', 'The length of the body differs from Content-Length.'),
};

/** The error for a chunk with another media type. */
export function unsupportedMediaType(): LadingError {
  return new LadingError(
    'unsupported_media_type',
    'This route does not accept this Content-Type. Send a chunk as application/octet-stream, or as the part "file" of multipart/form-data.',
  );
}

/** Converts any error to a `LadingError`; null if the client did not cause it. */
export function asLadingError(error: unknown): LadingError | null {
  if (error instanceof LadingError) return error;
  if (typeof error !== 'object' || error === null) return null;
  const { code, statusCode, validation, message } = error as ForeignError;
  if (validation !== undefined) return new LadingError('validation_failed', schemaMessage(String(message)));
  const known = typeof code === 'string' ? FRAMEWORK[code] : undefined;
  if (known) return known();
  if (typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500) {
    // Limits of the multipart parser, for example. Their messages are not written for clients.
    return new LadingError('invalid_request', 'The request is malformed or exceeds a limit.');
  }
  return null;
}

/** The message of the validator as a sentence. It turns `body must have required properties a, b` into `The body lacks a, b.` */
function schemaMessage(message: string): string {
  const [, place, names] = /^(\w+) must have required propert(?:y|ies) (.+)$/.exec(message) ?? [];
  return names === undefined ? `${message}.` : `The ${place} lacks ${names.replaceAll("'", '')}.`;
}

/** The error for an internal failure. The log shows the cause with the same request id. */
export function internalError(cause: unknown): LadingError {
  return new LadingError(
    'internal',
    'The request failed because of an error on the server. Try it again.',
    {},
    { cause },
  );
}
