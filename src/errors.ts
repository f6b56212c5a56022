/**
 * The closed list of errors on the wire (PROTOCOL.md §5). The server throws `LadingError`; `problems.ts` writes it as a problem
 * document (RFC 9457); the client library turns the document back into a `LadingError`.
 */
export const CATALOGUE = {
  invalid_request: { status: 400, title: 'Invalid request' },
  malformed_header: { status: 400, title: 'Malformed chunk header' },
  length_mismatch: { status: 400, title: 'Length mismatch' },
  checksum_mismatch: { status: 400, title: 'Checksum mismatch' },
  digest_mismatch: { status: 400, title: 'Digest mismatch' },
  out_of_bounds: { status: 400, title: 'Out of bounds' },
  invalid_name: { status: 400, title: 'Invalid file name' },
  unauthorized: { status: 401, title: 'Unauthorized' },
  forbidden: { status: 403, title: 'Forbidden' },
  insufficient_scope: { status: 403, title: 'Insufficient scope' },
  not_found: { status: 404, title: 'Not found' },
  not_complete: { status: 404, title: 'Not complete yet' },
  method_not_allowed: { status: 405, title: 'Method not allowed' },
  request_timeout: { status: 408, title: 'Request timeout' },
  already_exists: { status: 409, title: 'Already exists' },
  size_conflict: { status: 409, title: 'Size conflict' },
  chunk_conflict: { status: 409, title: 'Chunk conflict' },
  file_complete: { status: 409, title: 'File is complete' },
  not_contiguous: { status: 409, title: 'Not contiguous' },
  offset_mismatch: { status: 409, title: 'Offset mismatch' },
  superseded: { status: 409, title: 'Superseded' },
  length_required: { status: 411, title: 'Length required' },
  precondition_failed: { status: 412, title: 'Precondition failed' },
  chunk_too_large: { status: 413, title: 'Chunk too large' },
  file_too_large: { status: 413, title: 'File too large' },
  quota_exceeded: { status: 413, title: 'Quota exceeded' },
  unsupported_media_type: { status: 415, title: 'Unsupported media type' },
  range_not_satisfiable: { status: 416, title: 'Range not satisfiable' },
  validation_failed: { status: 422, title: 'Validation failed' },
  rate_limited: { status: 429, title: 'Rate limited' },
  headers_too_large: { status: 431, title: 'Request header fields too large' },
  internal: { status: 500, title: 'Internal error' },
  file_damaged: { status: 500, title: 'File is damaged' },
  not_implemented: { status: 501, title: 'Not implemented' },
  overloaded: { status: 503, title: 'Overloaded' },
  shutting_down: { status: 503, title: 'Shutting down' },
  insufficient_storage: { status: 507, title: 'Insufficient storage' },
} as const satisfies Record<string, { status: number; title: string }>;

export type ErrorCode = keyof typeof CATALOGUE;

/** Additional members of a problem document. They tell a client what to do next. */
export interface ProblemMembers {
  missing?: [number, number][];
  missing_more?: boolean;
  expected?: string | number;
  actual?: string | number;
  /** Seconds; also sent as `Retry-After`. */
  retry_after?: number;
  /** Names of the rate limits that were exceeded, as in the `RateLimit-Policy` field. */
  'violated-policies'?: string[];
  /** The scope that is missing. */
  scope?: string;
  /** The error in the fixed words of /api/tokens. */
  error?: string;
  /** The second factor that is required besides the token. */
  second_factor?: 'call';
  /** Remaining attempts to enter the code. */
  tries_left?: number;
  /** The invalid digest field (RFC 9530), its algorithm and value, or the unknown algorithms. */
  header?: string;
  algorithm?: string;
  provided_digest?: string;
  unsupported_algorithms?: { algorithm: string; header: string }[];
  /** Chunks of a train that count: its first ones. */
  committed_chunks?: number;
  /** The chunk that ended a train, and its position in it, counted from 0. Without offsets if its header cannot be read. */
  failed_chunk?: { position: number; start?: number; end?: number };
  /** Total size for the `Content-Range` of a 416. */
  total_bytes?: number;
}

/** The error of every expected failure. Clients see `detail`, so it must not contain a path, a stack or a secret. */
export class LadingError extends Error {
  override readonly name = 'LadingError';
  readonly code: ErrorCode;
  readonly members: ProblemMembers;

  constructor(code: ErrorCode, detail: string, members: ProblemMembers = {}, options?: ErrorOptions) {
    super(detail, options);
    this.code = code;
    this.members = members;
  }

  get status(): number {
    return CATALOGUE[this.code].status;
  }
}
