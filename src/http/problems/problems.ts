/** Every error as RFC 9457 problem details: ours, the framework's, and those nobody expected. */
import { CATALOGUE, LadingError, type ProblemMembers } from '../../errors.ts';

export const PROBLEM_TYPE = 'application/problem+json';

/** Order of the members in the document is that of the fields here. */
export interface ProblemDocument extends ProblemMembers {
  type: string;
  title: string;
  status: number;
  detail: string;
  code: string;
  instance?: string;
}

export interface ProblemReply {
  status: number;
  headers: Record<string, string>;
  body: Buffer;
}

/** How a refusal is written. */
export type Refusal = typeof problemReply;

declare module 'fastify' {
  interface FastifyContextConfig {
    /** On routes whose specification has another form than a problem document. */
    refusal?: Refusal;
  }
}

/** RFC 9457 §3.1.1 wants an absolute URI; a name promises no page to go to. */
function problemType(code: string): string {
  return `urn:problem:lading:${code}`;
}

/** What is sent for an error. `credentials`: the request brought some (RFC 6750 §3.1 says more then). */
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

/** Routes whose programs read `error` of every refusal: API tokens and calls. */
const READS_ERROR = /^\/(?:api\/tokens|api\/protected|calls)(?:\/|$)/;

/**
 * An error as the programs of a route read it.
 * @param path of the route, or of the target where no route answers
 */
export function inWordsOf(path: string, error: LadingError): LadingError {
  return READS_ERROR.test(path) && error.members.error === undefined ? withError(error) : error;
}

/** The same error with its words in the member `error` too. */
export function withError(error: LadingError): LadingError {
  return new LadingError(error.code, error.message, { ...error.members, error: error.message }, { cause: error });
}

/** A refusal in the words of another protocol. */
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

/** The parts of the framework's and Node's errors that are looked at. */
interface ForeignError {
  code?: unknown;
  statusCode?: unknown;
  validation?: unknown;
  message?: unknown;
}

/** What the framework and its plugins refuse by themselves, by their error codes. */
const FRAMEWORK: Record<string, () => LadingError> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: () =>
    new LadingError(
      'unsupported_media_type',
      'This route does not take that Content-Type. /docs lists the media types that each route takes.',
    ),
  FST_ERR_CTP_BODY_TOO_LARGE: () =>
    new LadingError('chunk_too_large', 'The body of this request is too long for this route.'),
  FST_ERR_CTP_EMPTY_JSON_BODY: () => new LadingError('invalid_request', 'The body is empty; JSON is expected.'),
  FST_ERR_CTP_INVALID_JSON_BODY: () => new LadingError('invalid_request', 'The body is not valid JSON.'),
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: () =>
    new LadingError('length_mismatch', 'The body does not have the length that Content-Length says.'),
};

export function unsupportedMediaType(): LadingError {
  return new LadingError(
    'unsupported_media_type',
    'This Content-Type is not accepted here. A chunk is sent as application/octet-stream or as the part "file" of multipart/form-data.',
  );
}

/** Any error as one of ours; null when it is nothing that the client could have caused. */
export function asLadingError(error: unknown): LadingError | null {
  if (error instanceof LadingError) return error;
  if (typeof error !== 'object' || error === null) return null;
  const { code, statusCode, validation, message } = error as ForeignError;
  if (validation !== undefined) return new LadingError('validation_failed', ofTheSchema(String(message)));
  const known = typeof code === 'string' ? FRAMEWORK[code] : undefined;
  if (known) return known();
  if (typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500) {
    // Limits of the multipart parser and the like; their texts are not meant for users of ours.
    return new LadingError('invalid_request', 'The request is malformed or exceeds a limit.');
  }
  return null;
}

/** What the validator says, as a sentence: `body must have required properties a, b` names what is missing. */
function ofTheSchema(message: string): string {
  const [, place, names] = /^(\w+) must have required propert(?:y|ies) (.+)$/.exec(message) ?? [];
  return names === undefined ? `${message}.` : `The ${place} lacks ${names.replaceAll("'", '')}.`;
}

/** The error for a failure of ours; what it was stands in the log under the same request id. */
export function internalError(cause: unknown): LadingError {
  return new LadingError('internal', 'Something went wrong here; the request may be tried again.', {}, { cause });
}
