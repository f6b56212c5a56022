/** Determines which bytes of a file a request selects (RFC 9110 §14), after its preconditions. */
import type { FastifyRequest } from 'fastify';
import type { Representation } from '../../engine/read/open-file.ts';
import { LadingError } from '../../errors.ts';
import { type Extent, lengthOf } from '../../protocol/extents.ts';
import { ifRangeHolds, type Validators } from '../../protocol/http/conditionals.ts';
import { parseRange } from '../../protocol/http/ranges.ts';

/** The part of a representation that is sent. */
export type Selection =
  | { kind: 'whole' }
  /** The whole file from its first byte, waiting for bytes that have not arrived. */
  | { kind: 'follow' }
  | { kind: 'parts'; extents: [Extent, ...Extent[]] };

/**
 * Evaluates `Range` and `If-Range`.
 * @throws LadingError `range_not_satisfiable`; `not_complete` for bytes that have not arrived
 */
export function select({ headers, method }: FastifyRequest, representation: Representation): Selection {
  const { size, readable, etag, lastModified } = representation;
  const validators: Validators = { etag, lastModified, exists: true };
  const ifRange = headers['if-range'];
  const honoured = method === 'GET' && (typeof ifRange !== 'string' || ifRangeHolds(ifRange, validators));
  const selection =
    honoured && headers.range !== undefined ? parseRange(headers.range, size) : { kind: 'whole' as const };
  switch (selection.kind) {
    case 'whole':
      if (!readable) throw notComplete();
      return selection;
    case 'size_needed':
      throw notComplete();
    case 'unsatisfiable':
      throw new LadingError(
        'range_not_satisfiable',
        `The file has ${size} bytes, and the range begins after its end.`,
        {
          ...(size === null ? {} : { total_bytes: size }),
        },
      );
    case 'parts':
      if (!selection.extents.every((extent) => representation.covers(extent))) throw notComplete();
      return selection;
  }
}

/** True if the request selects ranges whose bytes have all arrived. */
export function isReceived(request: FastifyRequest, representation: Representation): boolean {
  try {
    return select(request, representation).kind === 'parts';
  } catch {
    return false;
  }
}

/** The error for bytes that have not arrived. */
export function notComplete(): LadingError {
  return new LadingError(
    'not_complete',
    'The file is not complete. Request a Range that was received (see its status), or send follow=true to receive the file as it arrives.',
  );
}

/** The extent that the whole content of the answer consists of; null if it is not exactly one. */
export function contentExtent({ size }: Representation, selection: Selection): Extent | null {
  if (selection.kind === 'whole') return { start: 0, end: (size ?? 0) - 1 };
  return selection.kind === 'parts' && selection.extents.length === 1 ? selection.extents[0] : null;
}

/** Number of bytes of the file in a selection, without the framing of several parts. */
export function bytesOf({ size }: Representation, selection: Selection): number {
  if (selection.kind !== 'parts') return size ?? 0;
  return selection.extents.reduce((sum, extent) => sum + lengthOf(extent), 0);
}

/** The extents of a selection. */
export function extentsOf({ size }: Representation, selection: Selection): readonly Extent[] {
  if (selection.kind === 'parts') return selection.extents;
  return size === null || size === 0 ? [] : [{ start: 0, end: size - 1 }];
}
