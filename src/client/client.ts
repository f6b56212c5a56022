/**
 * The typed calls of PROTOCOL.md, in browsers and Node. Each makes one request (and signs in first when it must); the transfers that
 * go on after any interruption are in `upload.ts` and `download.ts`, started by `upload` and `downloadTo` below.
 */
import { LadingError } from '../errors.ts';
import type { AuditRecord } from '../protocol/audit-schemas.ts';
import { CHUNK_HEADER_BYTES, encodeChunkHeader, sum256 } from '../protocol/chunk.ts';
import type { ServerConfig } from '../protocol/config-schemas.ts';
import { hex32, crc32 as portableCrc32 } from '../protocol/crc32.ts';
import { type Digest, formatDigestField, parseDigestField } from '../protocol/digests.ts';
import type { EventType, LadingEvent } from '../protocol/event-schemas.ts';
import type { Extent } from '../protocol/extents.ts';
import { checkName } from '../protocol/names.ts';
import type { Verified } from '../protocol/oauth-schemas.ts';
import type { Person } from '../protocol/people-schemas.ts';
import type {
  Client,
  ClientCreated,
  Deleted,
  FileList,
  FileStatus,
  Removed,
  Role,
  UploadStatus,
} from '../protocol/schemas.ts';
import type { History, TransferList } from '../protocol/transfer-schemas.ts';
import {
  type Ask,
  type AuditOptions,
  auditOf,
  CallCalls,
  ClientCalls,
  DeliveryCalls,
  QuotaCalls,
  TenantCalls,
  TokenCalls,
  UserCalls,
} from './administration.ts';
import { Answers } from './answers.ts';
import { type DownloadOptions, type DownloadResult, type DownloadSink, downloadTo } from './download.ts';
import { NetworkError, problemOf } from './failures.ts';
import { type Credentials, Session } from './session.ts';
import { GrantCalls, PlayerCalls, SessionCalls, ShareCalls } from './sharing.ts';
import { parseEvents } from './sse.ts';
import { type StreamOptions, stream } from './stream.ts';
import type { Transport, TransportRequest, TransportResponse } from './transport.ts';
import { fetchTransport } from './transport-fetch.ts';
import { type UploadOptions, type UploadResult, type UploadSource, upload } from './upload.ts';
import { type UploadStreamOptions, uploadStream } from './upload-stream.ts';

export { LadingError } from '../errors.ts';
export type { Session } from '../protocol/account-schemas.ts';
export type { Delivery, NewTarget, Target, TargetCreated } from '../protocol/delivery-schemas.ts';
export type { LadingEvent } from '../protocol/event-schemas.ts';
export type { Grant, GrantList, NewGrant } from '../protocol/grant-schemas.ts';
export type { Player } from '../protocol/player-schemas.ts';
export type { NewQuota, QuotaReport } from '../protocol/quota-schemas.ts';
export type { NewShare, Share, ShareCreated } from '../protocol/share-schemas.ts';
export type { ApiToken, ApiTokenCreated } from '../protocol/token-schemas.ts';
export { blobSource } from './blob-source.ts';
export { NetworkError, SourceChangedError, VerificationError } from './failures.ts';
export type { AuditRecord, Client, ClientCreated, FileList, FileStatus, Person, Role };

/** CRC-32 (IETF) of `bytes`; `seed` is that of the bytes before them. */
export type Crc32 = (bytes: Uint8Array, seed?: number) => number;

export interface LadingClientOptions extends Credentials {
  /** Where the server is, with the path it lives under: `https://files.example.org` or `https://example.org/lading/`. */
  server: string;
  /** How requests travel; by default `fetch`. In Node `lading/client/node` brings a faster one. */
  transport?: Transport;
  /** A faster CRC-32 than the portable one. */
  crc32?: Crc32;
  /** Milliseconds without a byte in either direction after which a request fails; default 60 s. */
  idleMs?: number;
}

export interface CallOptions {
  signal?: AbortSignal | undefined;
  /** Whose file it is: for administrators, and to read what was granted. */
  owner?: string | undefined;
}

export interface RemoveOptions extends CallOptions {
  /** Throw `precondition_failed` unless the file has this ETag, and remove nothing. */
  ifMatch?: string | undefined;
}

export interface ChunkUpload {
  /** Offset of the first byte of `data`; without data (an empty file) 0. */
  start: number;
  data: Uint8Array<ArrayBuffer>;
  totalSize?: number | undefined;
  /** CRC-32 of the data when it is known already. */
  crc32?: number | undefined;
  reprDigest?: Digest | undefined;
  overwrite?: boolean | undefined;
  /** Throw `precondition_failed` unless the complete file of this name has this ETag. */
  ifMatch?: string | undefined;
  contentType?: string | undefined;
  onSent?: ((bytes: number) => void) | undefined;
  signal?: AbortSignal | undefined;
  idleMs?: number | undefined;
}

/** Bytes `start` to `end` (inclusive, or to the end of the file), or the last `suffix` bytes. */
export type RangeRequest = { start: number; end?: number | undefined } | { suffix: number };

export interface DownloadRequest extends CallOptions {
  range?: RangeRequest | undefined;
  /** Answer `precondition_failed` unless the file still has this ETag. */
  ifMatch?: string | undefined;
  /** Stream from the first byte while the file is still arriving. */
  follow?: boolean | undefined;
}

/** What the headers of a download say. */
export interface DownloadInfo {
  /** Size of the whole file, null while nobody knows. */
  size: number | null;
  etag: string | null;
  contentType: string | null;
  lastModified: string | null;
  reprDigest: Digest | null;
}

export interface Download extends DownloadInfo {
  /** Which bytes come; null for the whole file. */
  extent: Extent | null;
  body: AsyncIterable<Uint8Array>;
  discard(): void;
}

const PAGE_FILES = 100;

export interface ListOptions extends CallOptions {
  prefix?: string | undefined;
  status?: UploadStatus | undefined;
  /** Files a page (default 100). */
  limit?: number | undefined;
}

export interface EventOptions {
  /** Only events of these types. */
  types?: readonly EventType[] | undefined;
  /** Only of files whose names begin so. */
  prefix?: string | undefined;
  /** Id of the last event that came. */
  lastId?: string | undefined;
  signal?: AbortSignal | undefined;
}

export interface VerifyResult {
  ok: boolean;
  checked_bytes: number;
  bad: [number, number][];
}

type Query = Record<string, string | number | boolean | undefined>;

interface Call extends Partial<Omit<TransportRequest, 'url' | 'method'>> {
  query?: Query;
}

export class LadingClient {
  readonly crc32: Crc32;
  readonly clients: ClientCalls;
  readonly tokens: TokenCalls;
  readonly users: UserCalls;
  readonly tenants: TenantCalls;
  readonly quotas: QuotaCalls;
  readonly shares: ShareCalls;
  readonly players: PlayerCalls;
  readonly grants: GrantCalls;
  readonly sessions: SessionCalls;
  readonly deliveries: DeliveryCalls;
  readonly calls: CallCalls;
  readonly #base: URL;
  readonly #transport: Transport;
  readonly #session: Session;
  readonly #answers = new Answers();
  readonly #idleMs: number;

  /** Throws a TypeError when `server` is not an http(s) URL. */
  constructor(options: LadingClientOptions) {
    this.#base = new URL(options.server.endsWith('/') ? options.server : `${options.server}/`);
    if (!/^https?:$/.test(this.#base.protocol)) throw new TypeError('the server must be an http or https URL');
    this.#transport = options.transport ?? fetchTransport();
    this.#idleMs = options.idleMs ?? 60_000;
    this.crc32 = options.crc32 ?? portableCrc32;
    this.#session = new Session(this.#transport, this.#answers, (path) => this.#url(path), options, this.#idleMs);
    this.clients = new ClientCalls(this.#ask);
    this.tokens = new TokenCalls(this.#ask);
    this.users = new UserCalls(this.#ask);
    this.tenants = new TenantCalls(this.#ask);
    this.quotas = new QuotaCalls(this.#ask);
    this.shares = new ShareCalls(this.#ask);
    this.players = new PlayerCalls(this.#ask);
    this.grants = new GrantCalls(this.#ask);
    this.sessions = new SessionCalls(this.#ask);
    this.deliveries = new DeliveryCalls(this.#ask);
    this.calls = new CallCalls(this.#ask);
  }

  /** Signs in when there is no good token yet. Throws `unauthorized`. */
  async token(): Promise<string> {
    return this.#session.token();
  }

  /** True when the server answers that it is up; needs no credentials. */
  async health(options: CallOptions = {}): Promise<boolean> {
    const response = await this.#transport.request({
      method: 'GET',
      url: this.#url('health'),
      headers: {},
      idleMs: this.#idleMs,
      signal: options.signal,
    });
    response.discard();
    return response.status === 200;
  }

  /** Sends one chunk, with its checksum and CRC-32. No data and `totalSize: 0` is an empty file. */
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
    const response = await this.#call('POST', 'api/files/upload', {
      query,
      headers,
      body: data.length > 0 ? [encodeChunkHeader(header), data] : [],
      onSent: chunk.onSent && withoutHeader(chunk.onSent),
      signal: chunk.signal,
      ...(chunk.idleMs === undefined ? {} : { idleMs: chunk.idleMs }),
    });
    return this.#answers.json(response);
  }

  /** What is stored of a file; an unknown name is `pending`, not an error. */
  async status(name: string, { signal, owner }: CallOptions = {}): Promise<FileStatus> {
    return this.#answers.json(
      await this.#call('GET', `api/files/status/${encode(name)}`, { query: { owner }, signal }),
    );
  }

  /** Status objects as they change, at most four a second, until the file is complete. */
  async *watch(name: string, { signal, owner }: CallOptions = {}): AsyncGenerator<FileStatus> {
    const headers = { accept: 'text/event-stream' };
    const response = await this.#call('GET', `api/files/status/${encode(name)}`, { query: { owner }, headers, signal });
    try {
      for await (const data of parseEvents(response.body)) yield this.#answers.parse<FileStatus>(data);
    } finally {
      response.discard();
    }
  }

  /**
   * What happens to the files that one may see, as it does, until the server stops or the connection breaks. Given the id of the last
   * event, it goes on after it; an event `lost` says that some of what was missed is no longer kept.
   */
  async *events(options: EventOptions = {}): AsyncGenerator<LadingEvent | { type: 'lost' }> {
    const { signal, types, prefix, lastId } = options;
    const headers = { accept: 'text/event-stream', ...(lastId === undefined ? {} : { 'last-event-id': lastId }) };
    const query = { types: types?.join(','), prefix };
    const response = await this.#call('GET', 'api/events', { query, headers, signal });
    try {
      for await (const data of parseEvents(response.body))
        yield this.#answers.parse<LadingEvent | { type: 'lost' }>(data);
    } finally {
      response.discard();
    }
  }

  async listPage(options: ListOptions & { cursor?: string | undefined } = {}): Promise<FileList> {
    // Without a limit the server answers with everything at once.
    const { prefix, status, limit = PAGE_FILES, owner, cursor, signal } = options;
    return this.#answers.json(
      await this.#call('GET', 'api/files', { query: { prefix, status, limit, owner, cursor }, signal }),
    );
  }

  /** Every file, sorted by name; pages are asked for as they are needed. */
  async *list(options: ListOptions = {}): AsyncGenerator<FileStatus> {
    let cursor: string | undefined;
    do {
      const page = await this.listPage({ ...options, cursor });
      yield* page.files;
      cursor = page.next_cursor ?? undefined;
    } while (cursor !== undefined);
  }

  /** Deletes a file and any upload of its name; resolves with which of them there was. Throws `not_found`. */
  async delete(name: string, options: RemoveOptions = {}): Promise<Removed[]> {
    return this.#answers.json<Deleted>(await this.#remove(name, options)).then(({ removed }) => removed);
  }

  /** As `delete`, without saying what there was. */
  async remove(name: string, options: RemoveOptions = {}): Promise<void> {
    await this.delete(name, options);
  }

  /** Cancels the unfinished uploads or replacements of a name, or the one of this `id`; a complete file stays. Throws `not_found`. */
  async cancel(name: string, options: RemoveOptions & { id?: string | undefined } = {}): Promise<void> {
    (await this.#remove(name, options, { upload: 'only', id: options.id })).discard();
  }

  #remove(name: string, { signal, owner, ifMatch }: RemoveOptions, query: Query = {}): Promise<TransportResponse> {
    const headers: Record<string, string> = ifMatch === undefined ? {} : { 'if-match': ifMatch };
    return this.#call('DELETE', `api/files/${encode(name)}`, { query: { owner, ...query }, headers, signal });
  }

  /** Ends an upload of undeclared size. Throws `not_contiguous` with `missing`. */
  async complete(name: string, { signal, owner }: CallOptions = {}): Promise<FileStatus> {
    const path = `api/files/complete/${encode(name)}`;
    return this.#answers.json(await this.#call('POST', path, { query: { owner }, body: [], signal }));
  }

  /** Has the server read the stored bytes again and compare them with their manifest. May take as long as reading the file. */
  async verify(name: string, { signal, owner }: CallOptions = {}): Promise<VerifyResult> {
    const path = `api/files/verify/${encode(name)}`;
    return this.#answers.json(
      await this.#call('POST', path, { query: { owner }, body: [], signal, idleMs: 3_600_000 }),
    );
  }

  /** Administrators: parks stale uploads, removes those parked for long and seals open-ended ones now. */
  async sweep({ signal }: CallOptions = {}): Promise<{ removed: number; sealed: number; parked?: number }> {
    return this.#answers.json(await this.#call('POST', 'api/sweep', { body: [], signal, idleMs: 3_600_000 }));
  }

  /** Administrators: who did what and who was refused, youngest first. */
  audit(options: AuditOptions = {}): AsyncGenerator<AuditRecord> {
    return auditOf(this.#ask, options);
  }

  /**
   * What a whole download would say of the file, without its bytes. An unfinished file is `not_found` like an unknown one: the
   * answer to HEAD has no content that could tell them apart; `status` does.
   */
  async head(
    name: string,
    { signal, owner, follow }: CallOptions & Pick<DownloadRequest, 'follow'> = {},
  ): Promise<DownloadInfo> {
    const headers = { 'want-repr-digest': 'sha-256=5' };
    const path = `api/files/download/${encode(name)}`;
    const query = { owner, follow: follow || undefined };
    const response = await this.#call('HEAD', path, { query, headers, signal });
    response.discard();
    return { ...infoOf(response), size: wholeNumber(response.header('content-length')) };
  }

  /** Starts a download; its bytes are in `body`, to be read once, or `discard` it. */
  async download(name: string, request: DownloadRequest = {}): Promise<Download> {
    const { range, ifMatch, follow, owner, signal } = request;
    const headers: Record<string, string> = {};
    if (range) headers.range = formatRange(range);
    if (ifMatch !== undefined) headers['if-match'] = ifMatch;
    const query = { owner, follow: follow || undefined };
    const response = await this.#call('GET', `api/files/download/${encode(name)}`, { query, headers, signal });
    const { body } = response;
    const discard = () => response.discard();
    if (response.status !== 206) {
      return { ...infoOf(response), size: wholeNumber(response.header('content-length')), extent: null, body, discard };
    }
    const sent = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(response.header('content-range') ?? '');
    if (sent === null) {
      discard();
      throw new NetworkError('The server sent a part of the file without saying which.');
    }
    const extent = { start: Number(sent[1]), end: Number(sent[2]) };
    return { ...infoOf(response), size: sent[3] === '*' ? null : Number(sent[3]), extent, body, discard };
  }

  /** Sends a whole file, or what the server does not have of it yet; see `upload.ts`. */
  async upload(source: UploadSource, options: UploadOptions): Promise<UploadResult> {
    return upload(this, source, options);
  }

  /** Sends a stream of unknown size as a whole new file; see `upload-stream.ts`. */
  async uploadStream(source: AsyncIterable<Uint8Array>, options: UploadStreamOptions): Promise<UploadResult> {
    return uploadStream(this, source, options);
  }

  /** Receives a whole file, or what the sink does not have of it yet; see `download.ts`. */
  async downloadTo(name: string, sink: DownloadSink, options: DownloadOptions = {}): Promise<DownloadResult> {
    return downloadTo(this, name, sink, options);
  }

  /** A file or a range of it as a stream that goes on where it broke off; see `stream.ts`. */
  read(name: string, options: StreamOptions = {}): AsyncGenerator<Uint8Array> {
    return stream(this, name, options);
  }

  /** Who the token is of, and what it may do. */
  whoAmI({ signal }: CallOptions = {}): Promise<Verified> {
    return this.#ask('GET', 'api/token/verify', { signal });
  }

  /** Uploads on their way: one's own, for ops and administrators those of the tenant. */
  transfers({ limit, signal }: { limit?: number } & CallOptions = {}): Promise<TransferList> {
    return this.#ask('GET', 'api/transfers', { query: { limit }, signal });
  }

  /** How the server did in the last hour; for ops and administrators. */
  history({ signal }: CallOptions = {}): Promise<History> {
    return this.#ask('GET', 'api/history', { signal });
  }

  /** Settings in force; secrets are masked. */
  config({ signal }: CallOptions = {}): Promise<ServerConfig> {
    return this.#ask('GET', 'api/config', { signal });
  }

  /** Closes the connections. */
  async close(): Promise<void> {
    await this.#transport.close();
  }

  #url(path: string, query: Query = {}): string {
    const url = new URL(path, this.#base);
    for (const [key, value] of Object.entries(query)) {
      if (value !== undefined) url.searchParams.set(key, String(value));
    }
    return url.href;
  }

  /** The calls of administration are short messages of JSON, both ways. */
  readonly #ask: Ask = async (method, path, { query, body, signal }) => {
    const sent = body === undefined ? [] : [new TextEncoder().encode(JSON.stringify(body))];
    const headers: Record<string, string> = body === undefined ? {} : { 'content-type': 'application/json' };
    const call = {
      headers,
      signal,
      ...(query ? { query } : {}),
      ...(method === 'GET' || method === 'DELETE' ? {} : { body: sent }),
    };
    return this.#answers.json(await this.#call(method, path, call));
  };

  /** One signed request. A refused token is renewed once. Everything but 2xx is thrown as a `LadingError`. */
  async #call(method: TransportRequest['method'], path: string, call: Call): Promise<TransportResponse> {
    const { query, headers, ...rest } = call;
    const url = this.#url(path, query);
    for (let attempt = 1; ; attempt += 1) {
      const token = await this.#session.token();
      call.signal?.throwIfAborted();
      const response = await this.#transport.request({
        idleMs: this.#idleMs,
        ...rest,
        method,
        url,
        headers: { accept: 'application/json', ...headers, authorization: `Bearer ${token}` },
      });
      if (response.status >= 200 && response.status < 300) return response;
      this.#answers.check(response, url, path);
      const problem = await problemOf(response);
      const renewable = response.status === 401 && this.#session.refused(token);
      if (!renewable || attempt > 1) throw problem;
    }
  }
}

/** A name as one path segment. Checked here too, because a URL would resolve the name `..` away and mean something else. */
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

/** A digest that the server volunteered; one that cannot be read is as good as none. */
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
