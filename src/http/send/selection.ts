/** Which bytes of a file a request selects (RFC 9110 §14), once its preconditions let it through. */
import type { FastifyRequest } from 'fastify';
import type { Representation } from '../../engine/read/open-file.ts';
import { LadingError } from '../../errors.ts';
import { type Extent, lengthOf } from '../../protocol/extents.ts';
import { ifRangeHolds, type Validators } from '../../protocol/http/conditionals.ts';
import { parseRange } from '../../protocol/http/ranges.ts';

/** What is sent of a representation. */
export type Selection =
  | { kind: 'whole' }
  /** From the first byte on, waiting for what has not arrived. */
  | { kind: 'follow' }
  | { kind: 'parts'; extents: [Extent, ...Extent[]] };

/** What the `Range` of the request selects, once the preconditions let it through. Throws 416, and 404 for what is not there yet. */
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
      throw new LadingError('range_not_satisfiable', `The file has ${size} bytes; the range lies behind its end.`, {
        ...(size === null ? {} : { total_bytes: size }),
      });
    case 'parts':
      if (!selection.extents.every((extent) => representation.covers(extent))) throw notComplete();
      return selection;
  }
}

/** True when the request selects ranges of which every byte is there. */
export function isReceived(request: FastifyRequest, representation: Representation): boolean {
  try {
    return select(request, representation).kind === 'parts';
  } catch {
    return false;
  }
}

export function notComplete(): LadingError {
  return new LadingError(
    'not_complete',
    'The file is still arriving. Ask for a Range that was received (see its status), or follow=true to get it as it comes.',
  );
}

/** The extent that is the whole content of the answer; null when there is no such single one. */
export function contentExtent({ size }: Representation, selection: Selection): Extent | null {
  if (selection.kind === 'whole') return { start: 0, end: (size ?? 0) - 1 };
  return selection.kind === 'parts' && selection.extents.length === 1 ? selection.extents[0] : null;
}

/** Bytes of the file that a selection has; what frames several parts does not count. */
export function bytesOf({ size }: Representation, selection: Selection): number {
  if (selection.kind !== 'parts') return size ?? 0;
  return selection.extents.reduce((sum, extent) => sum + lengthOf(extent), 0);
}

/** What a selection asks for. */
export function extentsOf({ size }: Representation, selection: Selection): readonly Extent[] {
  if (selection.kind === 'parts') return selection.extents;
  return size === null || size === 0 ? [] : [{ start: 0, end: size - 1 }];
}
