/** Answers GET and HEAD with the bytes of a file, for all routes that send files. */
import type { OutgoingHttpHeaders } from 'node:http';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import type { Clock } from '../../contracts/clock.ts';
import type { Engine } from '../../engine/engine.ts';
import type { Representation } from '../../engine/read/open-file.ts';
import { LadingError } from '../../errors.ts';
import type { Access } from '../../identity/authenticate.ts';
import type { DownloadReservation } from '../../identity/sharing/shares.ts';
import { type Extent, lengthOf } from '../../protocol/extents.ts';
import { checkPreconditions } from '../../protocol/http/conditionals.ts';
import { formatContentRange } from '../../protocol/http/content-range.ts';
import { authorizationOf } from '../access/bearer.ts';
import { endsWithClient } from '../connection/half-open.ts';
import { multipartByteranges } from '../send/byteranges.ts';
import type { Downloads } from '../send/downloads.ts';
import { digestFields, representationFields } from '../send/representation.ts';
import {
  bytesOf,
  contentExtent,
  extentsOf,
  isReceived,
  notComplete,
  type Selection,
  select,
} from '../send/selection.ts';
import { AccessRevoked, FollowSource, Incomplete, PiecesSource, type Source } from '../send/sources.ts';

/** What sending a file needs from the server. */
export interface FileSenderDeps {
  engine: Engine;
  downloads: Downloads;
  /** How long a followed download waits for further bytes of its file, in milliseconds. */
  followSilenceMs: number;
  clock: Clock;
  log: Logger;
  access: Access;
}

type Fields = Record<string, string | number>;

/** A response to send. */
interface Answer {
  status: 200 | 206;
  fields: Fields;
  source: Source;
}

interface SenderDeps extends FileSenderDeps {
  /** Running downloads that may wait for bytes. */
  followers: Set<FollowSource>;
}

/** The file that a route sends. */
export interface SendFile {
  owner: string;
  name: string;
  /** If the file is unfinished, wait for its missing bytes. */
  follow?: boolean;
  /** Answer 404 if the name belongs to another file now. */
  id?: string;
  /** Media type to send instead of the declared one or the one of the name's extension. */
  contentType?: string;
  /** False once the principal may no longer read the file; then the download is cut off. By default the token of the request decides. */
  isAuthorized?: () => boolean;
  /**
   * Reserves the bytes before they are sent. It may replace the requested range with the whole file (RFC 9110 §14.2).
   * @throws LadingError to refuse the download
   */
  reserve?: (extents: readonly Extent[], ranged: boolean) => Promise<DownloadReservation>;
}

/**
 * Returns a function that answers a GET or HEAD with a file, with ranges and preconditions. Its routes use `downloadSchema` with their own
 * summary. The function throws LadingError `not_found`, `not_complete`, `precondition_failed`, `range_not_satisfiable`.
 */
export function fileSender(app: FastifyInstance, given: FileSenderDeps) {
  const deps: SenderDeps = { ...given, followers: new Set() };
  // While the server stops, downloads send the bytes that have arrived and do not wait for more.
  app.addHook('preClose', async () => {
    for (const source of deps.followers) source.stop();
  });
  return async (file: SendFile, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const opened = await deps.engine.open(file.owner, file.name);
    try {
      if (file.id !== undefined && file.id !== opened.id)
        throw new LadingError('not_found', 'The file no longer exists.');
      const representation = file.contentType === undefined ? opened : { ...opened, contentType: file.contentType };
      // `await` keeps the file open until it is sent.
      return await answer(deps, file, representation, request, reply);
    } finally {
      opened.release();
    }
  };
}

async function answer(
  deps: SenderDeps,
  { owner, follow: mayFollow = false, isAuthorized, reserve }: SendFile,
  representation: Representation,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const { headers, method } = request;
  const ranged = method === 'GET' && headers.range !== undefined;
  const follow = mayFollow && representation.state() === 'open';
  // RFC 9110 §13.2.1: preconditions apply only if the answer would be a success without them.
  if (!representation.readable && !follow && !ranged) throw notComplete();
  const { etag, lastModified } = representation;
  const verdict = checkPreconditions(method, headers, { etag, lastModified, exists: true });
  if (verdict === 'failed') {
    throw new LadingError('precondition_failed', 'The file does not match the precondition of the request.');
  }
  const common = representationFields(representation, deps.clock.now());
  if (verdict === 'not_modified') {
    const { 'content-type': _type, 'content-disposition': _disposition, ...kept } = common;
    return reply.code(304).headers(kept).send();
  }
  // A range that has already been received needs no waiting.
  const waits = follow && !(ranged && isReceived(request, representation));
  const selected: Selection = waits ? { kind: 'follow' } : select(request, representation);
  const reserveRange = method === 'HEAD' ? undefined : reserve;
  const reservation = await reserveRange?.(extentsOf(representation, selected), selected.kind === 'parts');
  const selection: Selection = reservation?.ignoresRange ? { kind: 'whole' } : selected;
  let sent = 0;
  let isWhole = false;
  try {
    // The digest of a file that grows while it is sent is unknown.
    const digests = waits ? {} : await digestFields(representation, contentExtent(representation, selection), headers);
    const fields = { ...common, ...digests };
    const composed = compose(
      deps,
      owner,
      representation,
      selection,
      fields,
      isAuthorized ?? authorizationOf(deps, request),
    );
    const { source } = composed;
    if (method === 'HEAD') {
      source.cancel();
      return reply.code(composed.status).headers(composed.fields).send();
    }
    try {
      isWhole = await send(deps, composed, request, reply);
    } finally {
      sent = Math.max(0, bytesOf(representation, selection) - (source.remaining ?? 0));
    }
  } finally {
    await reservation?.settle(sent, isWhole);
  }
  return reply;
}

/** Status, fields and bytes of the selection. */
function compose(
  { engine, followSilenceMs }: SenderDeps,
  owner: string,
  representation: Representation,
  selection: Selection,
  common: Fields,
  isAuthorized: () => boolean,
): Answer {
  const { name, size, reader } = representation;
  if (selection.kind === 'follow') {
    // While the size is undeclared, the last byte received may not be the end of the file.
    const declared = representation.readable ? null : size;
    const source = new FollowSource(representation, {
      size: declared,
      watch: (listener) => engine.watch(owner, name, listener),
      silenceMs: followSilenceMs,
      isAuthorized,
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
      source: new PiecesSource(reader, pieces, isAuthorized),
    };
  }
  const [extent, ...others] = selection.extents;
  if (others.length === 0) {
    const fields = {
      ...common,
      'content-range': formatContentRange({ range: extent, size }),
      'content-length': lengthOf(extent),
    };
    return { status: 206, fields, source: new PiecesSource(reader, [extent], isAuthorized) };
  }
  const { contentType, length, pieces } = multipartByteranges(selection.extents, size, String(common['content-type']));
  const fields = { ...common, 'content-type': contentType, 'content-length': length };
  return { status: 206, fields, source: new PiecesSource(reader, pieces, isAuthorized) };
}

/** Sends the answer. Returns true if all bytes were sent. */
async function send(
  { downloads, followers, log }: SenderDeps,
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
      log.info({ request_id: request.id }, 'a followed download was cut because its file did not become complete');
    } else if (outcome.kind === 'failed' && outcome.error instanceof AccessRevoked) {
      log.info({ request_id: request.id }, 'a download was cut because its principal may no longer read the file');
    } else if (outcome.kind === 'failed') {
      log.error({ request_id: request.id, err: outcome.error }, 'a download was cut because bytes were missing');
    } else if (outcome.kind === 'idle') {
      log.info({ request_id: request.id }, 'a download was cut because the client did not read it');
    }
    return outcome.kind === 'sent';
  } finally {
    source.cancel();
    if (source instanceof FollowSource) followers.delete(source);
  }
}

/** The header fields: those that hooks set on the reply, and those of this answer. */
function headOf(reply: FastifyReply, fields: Fields): OutgoingHttpHeaders {
  const head: OutgoingHttpHeaders = {};
  for (const [name, value] of Object.entries(reply.getHeaders())) head[name] = value;
  return Object.assign(head, fields);
}
