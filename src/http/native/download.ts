/** GET and HEAD /api/files/download/{filename}: RFC 9110 §13 and §14 over what is stored, or as it arrives. */
import type { OutgoingHttpHeaders } from 'node:http';
import type { FastifyInstance, FastifyReply, FastifyRequest, FastifySchema } from 'fastify';
import type { Logger } from 'pino';
import Type from 'typebox';
import type { Clock } from '../../contracts/clock.ts';
import type { Engine } from '../../engine/engine.ts';
import type { Representation } from '../../engine/read/open-file.ts';
import { LadingError } from '../../errors.ts';
import type { Access } from '../../identity/authenticate.ts';
import type { Identity } from '../../identity/directory/identity.ts';
import type { Take } from '../../identity/sharing/shares.ts';
import { type Extent, lengthOf } from '../../protocol/extents.ts';
import { checkPreconditions, ifRangeHolds, type Validators } from '../../protocol/http/conditionals.ts';
import { formatContentRange, parseRange } from '../../protocol/http/ranges.ts';
import { checkName } from '../../protocol/names.ts';
import { DownloadQuery } from '../../protocol/schemas/files.ts';
import { authoriseReading } from '../access/authorize-read.ts';
import { standing } from '../access/bearer.ts';
import { endsWithClient } from '../connection/half-open.ts';
import { SIGNED_IN } from '../request/documented.ts';
import { nameParameter } from '../request/parameters.ts';
import { multipartByteranges } from '../send/byteranges.ts';
import type { Downloads } from '../send/downloads.ts';
import { digestFields, representationFields } from '../send/representation.ts';
import { FollowSource, Incomplete, PiecesSource, type Source, Withdrawn } from '../send/sources.ts';

/** What these routes need from the server. */
export interface DownloadDeps {
  engine: Engine;
  downloads: Downloads;
  /** How long a followed download waits for the next bytes of its file, in milliseconds. */
  followSilenceMs: number;
  identity: Identity;
  clock: Clock;
  log: Logger;
  access: Access;
}

interface Download {
  Params: { '*': string };
  Querystring: DownloadQuery;
}

type Fields = Record<string, string | number>;

/** What is sent of a representation. */
type Selection =
  | { kind: 'whole' }
  /** From the first byte on, waiting for what has not arrived. */
  | { kind: 'follow' }
  | { kind: 'parts'; extents: [Extent, ...Extent[]] };

/** A response that is to be sent. */
interface Answer {
  status: 200 | 206;
  fields: Fields;
  source: Source;
}

const bytes = { schema: Type.Unsafe<unknown>({ type: 'string', format: 'binary' }) };
/** The media type is that of the file. */
const binary = { 'application/octet-stream': bytes, '*/*': bytes };
const ranges = { ...binary, 'multipart/byteranges': bytes };

/** Of a 304 too. */
const validatorFields = ['Accept-Ranges', 'Cache-Control', 'ETag', 'Last-Modified'] as const;
const contentFields = [...validatorFields, 'Content-Disposition', 'Content-Length'] as const;

/** Of a route that gives a file's bytes. */
export const downloadSchema = {
  tags: ['Files'],
  summary: 'The bytes of a file, whole or by ranges; also of one that is still arriving.',
  description:
    'Range (one, several, open, suffix), If-Range, If-Match, If-None-Match, If-Modified-Since and If-Unmodified-Since as in RFC 9110. ' +
    'Of an unfinished file a range is sent when all of it was received; with follow=true the whole file is sent as it arrives.',
  params: nameParameter,
  querystring: DownloadQuery,
  response: {
    200: { description: 'The whole file', content: binary },
    206: { description: 'The range, or several as multipart/byteranges', content: ranges },
    304: { description: 'Not modified', type: 'null' },
  },
  documented: {
    request: [
      'Range',
      'If-Range',
      'If-Match',
      'If-None-Match',
      'If-Modified-Since',
      'If-Unmodified-Since',
      'Want-Repr-Digest',
      'Want-Content-Digest',
    ],
    replies: {
      200: [...contentFields, 'Repr-Digest', 'Content-Digest'],
      206: [...contentFields, 'Content-Range', 'Repr-Digest', 'Content-Digest'],
      304: validatorFields,
    },
    errors: [
      ...SIGNED_IN,
      'forbidden',
      'invalid_name',
      'not_found',
      'not_complete',
      'precondition_failed',
      'range_not_satisfiable',
    ],
  },
} satisfies FastifySchema;

interface Doors extends DownloadDeps {
  /** Downloads that may be waiting for bytes. */
  followers: Set<FollowSource>;
}

/** A file as an answer: the one download of all routes that give bytes. */
export interface SendFile {
  owner: string;
  name: string;
  /** Wait for what has not arrived, if the file is still open. */
  follow?: boolean;
  /** 404 when the name has another file by now. */
  id?: string;
  /** Instead of the declared one or that of the name. */
  contentType?: string;
  /** False once whoever asked may no longer read it, which ends the answer; by default that is known of their token. */
  stands?: () => boolean;
  /**
   * Asked before anything of the file is sent. It may have the whole file sent in place of what a Range asked for (RFC 9110 §14.2).
   * @throws LadingError to refuse
   */
  take?: (extents: readonly Extent[], ranged: boolean) => Promise<Take>;
}

/**
 * What answers a GET or HEAD with a file, by ranges, under preconditions; the schema of such a route is `downloadSchema` with words of its
 * own. Throws LadingError `not_found`, `not_complete`, `precondition_failed`, `range_not_satisfiable`.
 */
export function fileSender(app: FastifyInstance, deps: DownloadDeps) {
  const doors: Doors = { ...deps, followers: new Set() };
  // A server that stops sends what it has, but waits for nothing more.
  app.addHook('preClose', async () => {
    for (const source of doors.followers) source.stop();
  });
  return async (file: SendFile, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const opened = await doors.engine.open(file.owner, file.name);
    try {
      if (file.id !== undefined && file.id !== opened.id)
        throw new LadingError('not_found', 'There is no such file any more.');
      const representation = file.contentType === undefined ? opened : { ...opened, contentType: file.contentType };
      // Awaited here, so that the file stays open as long as anything is read from it, and no longer.
      return await answer(doors, file, representation, request, reply);
    } finally {
      opened.release();
    }
  };
}

export function downloadRoutes(app: FastifyInstance, deps: DownloadDeps): void {
  const send = fileSender(app, deps);
  app.route<Download>({
    method: ['GET', 'HEAD'],
    url: '/api/files/download/*',
    schema: downloadSchema,
    config: { frequent: true, needs: 'files:read', guarded: 'downloads' },
    handler: async (request, reply) => {
      const name = checkName(request.params['*']);
      const reading = authoriseReading(deps, request, request.query.owner, name);
      return send({ ...reading, name, follow: request.query.follow === true }, request, reply);
    },
  });
}

async function answer(
  doors: Doors,
  { owner, follow: mayFollow = false, stands, take }: SendFile,
  representation: Representation,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const { headers, method } = request;
  const ranged = method === 'GET' && headers.range !== undefined;
  const follow = mayFollow && representation.state() === 'open';
  // RFC 9110 §13.2.1: preconditions count only where the answer would be a success without them.
  if (!representation.readable && !follow && !ranged) throw notComplete();
  const { etag, lastModified } = representation;
  const verdict = checkPreconditions(method, headers, { etag, lastModified, exists: true });
  if (verdict === 'failed') {
    throw new LadingError('precondition_failed', 'The file is not the one that the precondition asks for.');
  }
  const common = representationFields(representation, doors.clock.now());
  if (verdict === 'not_modified') {
    const { 'content-type': _type, 'content-disposition': _disposition, ...kept } = common;
    return reply.code(304).headers(kept).send();
  }
  // A range that was received already need not be waited for.
  const waits = follow && !(ranged && isReceived(request, representation));
  const selected: Selection = waits ? { kind: 'follow' } : select(request, representation);
  const asked = method === 'HEAD' ? undefined : take;
  const taken = await asked?.(extentsOf(representation, selected), selected.kind === 'parts');
  const selection: Selection = taken?.ignoresRange ? { kind: 'whole' } : selected;
  let sent = 0;
  let whole = false;
  try {
    // Of a file that grows while it is sent nobody knows the digest.
    const digests = waits ? {} : await digestFields(representation, contentExtent(representation, selection), headers);
    const fields = { ...common, ...digests };
    const composed = compose(doors, owner, representation, selection, fields, stands ?? standing(doors, request));
    const { source } = composed;
    if (method === 'HEAD') {
      source.cancel();
      return reply.code(composed.status).headers(composed.fields).send();
    }
    try {
      whole = await send(doors, composed, request, reply);
    } finally {
      sent = Math.max(0, bytesOf(representation, selection) - (source.remaining ?? 0));
    }
  } finally {
    await taken?.settle(sent, whole);
  }
  return reply;
}

/** What the `Range` of the request selects, once the preconditions let it through. Throws 416, and 404 for what is not there yet. */
function select({ headers, method }: FastifyRequest, representation: Representation): Selection {
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
function isReceived(request: FastifyRequest, representation: Representation): boolean {
  try {
    return select(request, representation).kind === 'parts';
  } catch {
    return false;
  }
}

function notComplete(): LadingError {
  return new LadingError(
    'not_complete',
    'The file is still arriving. Ask for a Range that was received (see its status), or follow=true to get it as it comes.',
  );
}

/** Status, fields and bytes of what was selected. */
function compose(
  { engine, followSilenceMs }: Doors,
  owner: string,
  representation: Representation,
  selection: Selection,
  common: Fields,
  stands: () => boolean,
): Answer {
  const { name, size, reader } = representation;
  if (selection.kind === 'follow') {
    // Of an undeclared size the end so far is not the end.
    const declared = representation.readable ? null : size;
    const source = new FollowSource(representation, {
      size: declared,
      watch: (listener) => engine.watch(owner, name, listener),
      silenceMs: followSilenceMs,
      stands,
      isWhole: async (bytes) => {
        const { id, total_bytes: total, bytes_received: received } = await engine.status(owner, name);
        return id === representation.id && total === bytes && received === bytes;
      },
    });
    const { etag: _etag, 'last-modified': _modified, ...rest } = common;
    const fields: Fields = { ...rest, 'cache-control': 'no-store' };
    return { status: 200, fields: declared === null ? fields : { ...fields, 'content-length': declared }, source };
  }
  if (selection.kind === 'whole') {
    const bytes = size ?? 0;
    const pieces = bytes === 0 ? [] : [{ start: 0, end: bytes - 1 }];
    return {
      status: 200,
      fields: { ...common, 'content-length': bytes },
      source: new PiecesSource(reader, pieces, stands),
    };
  }
  const [extent, ...others] = selection.extents;
  if (others.length === 0) {
    const fields = { ...common, 'content-range': formatContentRange(extent, size), 'content-length': lengthOf(extent) };
    return { status: 206, fields, source: new PiecesSource(reader, [extent], stands) };
  }
  const { contentType, length, pieces } = multipartByteranges(selection.extents, size, String(common['content-type']));
  const fields = { ...common, 'content-type': contentType, 'content-length': length };
  return { status: 206, fields, source: new PiecesSource(reader, pieces, stands) };
}

/** The extent that is the whole content of the answer; null when there is no such single one. */
function contentExtent({ size }: Representation, selection: Selection): Extent | null {
  if (selection.kind === 'whole') return { start: 0, end: (size ?? 0) - 1 };
  return selection.kind === 'parts' && selection.extents.length === 1 ? selection.extents[0] : null;
}

/** Bytes of the file that a selection has; what frames several parts does not count. */
function bytesOf({ size }: Representation, selection: Selection): number {
  if (selection.kind !== 'parts') return size ?? 0;
  return selection.extents.reduce((sum, extent) => sum + lengthOf(extent), 0);
}

/** What a selection asks for. */
function extentsOf({ size }: Representation, selection: Selection): readonly Extent[] {
  if (selection.kind === 'parts') return selection.extents;
  return size === null || size === 0 ? [] : [{ start: 0, end: size - 1 }];
}

/** True when all of it was sent. */
async function send(
  { downloads, followers, log }: Doors,
  { status, fields, source }: Answer,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<boolean> {
  if (source instanceof FollowSource) {
    followers.add(source);
    endsWithClient(reply.raw);
  }
  try {
    const transfer = await downloads.begin(reply.raw, source);
    reply.hijack();
    const outcome = await transfer.send(status, headOf(reply, fields));
    if (outcome.kind === 'failed' && outcome.error instanceof Incomplete) {
      log.info({ request_id: request.id }, 'a followed download was cut because its file did not become whole');
    } else if (outcome.kind === 'failed' && outcome.error instanceof Withdrawn) {
      log.info({ request_id: request.id }, 'a download was cut because who asked may no longer read the file');
    } else if (outcome.kind === 'failed') {
      log.error({ request_id: request.id, err: outcome.error }, 'a download was cut because bytes were missing');
    } else if (outcome.kind === 'idle') {
      log.info({ request_id: request.id }, 'a download was cut because nothing of it was taken');
    }
    return outcome.kind === 'sent';
  } finally {
    source.cancel();
    if (source instanceof FollowSource) followers.delete(source);
  }
}

/** What hooks have set on the reply, and the fields of this answer. */
function headOf(reply: FastifyReply, fields: Fields): OutgoingHttpHeaders {
  const head: OutgoingHttpHeaders = {};
  for (const [name, value] of Object.entries(reply.getHeaders())) head[name] = value;
  return Object.assign(head, fields);
}
