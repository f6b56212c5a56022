/** Calls on files (PROTOCOL §2, §3, §4). Each makes one request, and signs in first if necessary. */
import { LadingError } from '../../errors.ts';
import { CHUNK_HEADER_BYTES, encodeChunkHeader, sum256 } from '../../protocol/chunk.ts';
import { hex32 } from '../../protocol/crc32.ts';
import { type Digest, formatDigestField, parseDigestField } from '../../protocol/http/digests.ts';
import { checkName } from '../../protocol/names.ts';
import type { LadingEvent } from '../../protocol/schemas/event.ts';
import type { Deleted, FileList, FileStatus, Removed } from '../../protocol/schemas/files.ts';
import { NetworkError } from '../transport/failures.ts';
import { parseEvents } from '../transport/sse.ts';
import type { TransportResponse } from '../transport/transport.ts';
import type {
  CallOptions,
  ChunkUpload,
  Crc32,
  Download,
  DownloadInfo,
  DownloadRequest,
  EventOptions,
  ListOptions,
  RangeRequest,
  RemoveOptions,
  VerifyResult,
} from './options.ts';
import type { Query, Requests } from './requests.ts';

const PAGE_FILES = 100;

/** Calls on the files of one server. */
export class FileCalls {
  protected readonly requests: Requests;
  /** Computes the CRC-32 of chunks. */
  readonly crc32: Crc32;

  constructor(requests: Requests, crc32: Crc32) {
    this.requests = requests;
    this.crc32 = crc32;
  }

  /** Sends one chunk with its checksum and CRC-32 (PROTOCOL §1). No data and `totalSize: 0` create an empty file. */
  async uploadChunk(name: string, chunk: ChunkUpload): Promise<FileStatus> {
    const { start, data, reprDigest } = chunk;
    const headers: Record<string, string> = { 'content-type': 'application/octet-stream' };
    if (data.length > 0) headers['x-chunk-crc32'] = hex32(chunk.crc32 ?? this.crc32(data));
    if (reprDigest) headers['repr-digest'] = formatDigestField(reprDigest);
    if (chunk.ifMatch !== undefined) headers['if-match'] = chunk.ifMatch;
    const header = { start, end: start + data.length - 1, checksum: sum256(data) };
    const query = {
      filename: name,
      total_size: chunk.totalSize,
      overwrite: chunk.overwrite || undefined,
      content_type: chunk.contentType,
    };
    const response = await this.requests.call('POST', 'api/files/upload', {
      query,
      headers,
      body: data.length > 0 ? [encodeChunkHeader(header), data] : [],
      onSent: chunk.onSent && withoutHeader(chunk.onSent),
      signal: chunk.signal,
      ...(chunk.idleMs === undefined ? {} : { idleMs: chunk.idleMs }),
    });
    return this.requests.responses.json(response);
  }

  /** The status of a file or upload (PROTOCOL §3). An unknown name has the status `pending`; it is not an error. */
  async status(name: string, { signal, owner }: CallOptions = {}): Promise<FileStatus> {
    return this.requests.responses.json(
      await this.requests.call('GET', `api/files/status/${encode(name)}`, { query: { owner }, signal }),
    );
  }

  /** Yields status objects as they change, at most four per second, until the file is complete. */
  async *watch(name: string, { signal, owner }: CallOptions = {}): AsyncGenerator<FileStatus> {
    const headers = { accept: 'text/event-stream' };
    const response = await this.requests.call('GET', `api/files/status/${encode(name)}`, {
      query: { owner },
      headers,
      signal,
    });
    try {
      for await (const data of parseEvents(response.body)) yield this.requests.responses.parse<FileStatus>(data);
    } finally {
      response.discard();
    }
  }

  /**
   * Yields events about visible files, until the server stops or the connection breaks. With `lastId`, continues after that event; an
   * event `lost` means that some events in between are no longer available.
   */
  async *events(options: EventOptions = {}): AsyncGenerator<LadingEvent | { type: 'lost' }> {
    const { signal, types, prefix, lastId } = options;
    const headers = { accept: 'text/event-stream', ...(lastId === undefined ? {} : { 'last-event-id': lastId }) };
    const query = { types: types?.join(','), prefix };
    const response = await this.requests.call('GET', 'api/events', { query, headers, signal });
    try {
      for await (const data of parseEvents(response.body))
        yield this.requests.responses.parse<LadingEvent | { type: 'lost' }>(data);
    } finally {
      response.discard();
    }
  }

  /** One page of files, sorted by name. */
  async listPage(options: ListOptions & { cursor?: string | undefined } = {}): Promise<FileList> {
    // Without a limit, the server returns all files in one reply.
    const { prefix, status, limit = PAGE_FILES, owner, cursor, signal } = options;
    return this.requests.responses.json(
      await this.requests.call('GET', 'api/files', { query: { prefix, status, limit, owner, cursor }, signal }),
    );
  }

  /** Yields all files, sorted by name. Requests pages as needed. */
  async *list(options: ListOptions = {}): AsyncGenerator<FileStatus> {
    let cursor: string | undefined;
    do {
      const page = await this.listPage({ ...options, cursor });
      yield* page.files;
      cursor = page.next_cursor ?? undefined;
    } while (cursor !== undefined);
  }

  /** Deletes a file and any upload of its name. Resolves with what was deleted. Throws `not_found`. */
  async delete(name: string, options: RemoveOptions = {}): Promise<Removed[]> {
    return this.requests.responses.json<Deleted>(await this.#remove(name, options)).then(({ removed }) => removed);
  }

  /** Same as `delete`, without a result. */
  async remove(name: string, options: RemoveOptions = {}): Promise<void> {
    await this.delete(name, options);
  }

  /** Cancels the unfinished upload of a name, or only the one with this `id`. A complete file is kept. Throws `not_found`. */
  async cancel(name: string, options: RemoveOptions & { id?: string | undefined } = {}): Promise<void> {
    (await this.#remove(name, options, { upload: 'only', id: options.id })).discard();
  }

  #remove(name: string, { signal, owner, ifMatch }: RemoveOptions, query: Query = {}): Promise<TransportResponse> {
    const headers: Record<string, string> = ifMatch === undefined ? {} : { 'if-match': ifMatch };
    return this.requests.call('DELETE', `api/files/${encode(name)}`, { query: { owner, ...query }, headers, signal });
  }

  /** Completes an upload of undeclared size. Throws `not_contiguous` with `missing`. */
  async complete(name: string, { signal, owner }: CallOptions = {}): Promise<FileStatus> {
    const path = `api/files/complete/${encode(name)}`;
    return this.requests.responses.json(await this.requests.call('POST', path, { query: { owner }, body: [], signal }));
  }

  /** Has the server reread the stored bytes and compare them with their manifest. Takes as long as reading the file. */
  async verify(name: string, { signal, owner }: CallOptions = {}): Promise<VerifyResult> {
    const path = `api/files/verify/${encode(name)}`;
    return this.requests.responses.json(
      await this.requests.call('POST', path, { query: { owner }, body: [], signal, idleMs: 3_600_000 }),
    );
  }

  /**
   * The headers of a download, without the bytes. Throws `not_found` for an unfinished file as for an unknown one: a reply to HEAD has
   * no body that could distinguish them. Use `status` for that.
   */
  async head(
    name: string,
    { signal, owner, follow }: CallOptions & Pick<DownloadRequest, 'follow'> = {},
  ): Promise<DownloadInfo> {
    const headers = { 'want-repr-digest': 'sha-256=5' };
    const path = `api/files/download/${encode(name)}`;
    const query = { owner, follow: follow || undefined };
    const response = await this.requests.call('HEAD', path, { query, headers, signal });
    this.requests.responses.checkFields(response);
    response.discard();
    return { ...infoOf(response), size: wholeNumber(response.header('content-length')) };
  }

  /** Starts a download. Read `body` once, or call `discard`. */
  async download(name: string, request: DownloadRequest = {}): Promise<Download> {
    const { range, ifMatch, follow, owner, signal } = request;
    const headers: Record<string, string> = {};
    if (range) headers.range = formatRange(range);
    if (ifMatch !== undefined) headers['if-match'] = ifMatch;
    const query = { owner, follow: follow || undefined };
    const response = await this.requests.call('GET', `api/files/download/${encode(name)}`, { query, headers, signal });
    this.requests.responses.checkFields(response);
    const { body } = response;
    const discard = () => response.discard();
    if (response.status !== 206) {
      return { ...infoOf(response), size: wholeNumber(response.header('content-length')), extent: null, body, discard };
    }
    const sent = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(response.header('content-range') ?? '');
    if (sent === null) {
      discard();
      throw new NetworkError('The server sent a part of the file without a valid Content-Range.');
    }
    const extent = { start: Number(sent[1]), end: Number(sent[2]) };
    return { ...infoOf(response), size: sent[3] === '*' ? null : Number(sent[3]), extent, body, discard };
  }
}

/** Encodes a name as one path segment. Validates it here too, because a URL would resolve the name `..`. */
function encode(name: string): string {
  return encodeURIComponent(checkName(name));
}

function withoutHeader(onSent: (bytes: number) => void): (bytes: number) => void {
  let header = CHUNK_HEADER_BYTES;
  return (bytes) => {
    const skipped = Math.min(header, bytes);
    header -= skipped;
    if (bytes > skipped) onSent(bytes - skipped);
  };
}

function formatRange(range: RangeRequest): string {
  return 'suffix' in range ? `bytes=-${range.suffix}` : `bytes=${range.start}-${range.end ?? ''}`;
}

function infoOf(response: TransportResponse): Omit<DownloadInfo, 'size'> {
  const digest = response.header('repr-digest');
  return {
    etag: response.header('etag'),
    contentType: response.header('content-type'),
    lastModified: response.header('last-modified'),
    reprDigest: digest === null ? null : digestOf(digest),
  };
}

/** Parses a digest field that the client did not request. Ignores an invalid one. */
function digestOf(field: string): Digest | null {
  try {
    return parseDigestField(field, 'Repr-Digest');
  } catch (error) {
    if (error instanceof LadingError) return null;
    throw error;
  }
}

function wholeNumber(value: string | null): number | null {
  return value !== null && /^\d+$/.test(value) ? Number(value) : null;
}
