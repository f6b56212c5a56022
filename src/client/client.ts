/**
 * The client library, for browsers and Node. Each call makes one request, and signs in first if necessary. Transfers that resume after
 * any interruption (`upload`, `uploadStream`, `downloadTo`, `read`) are in `client/transfer`.
 */

import { crc32 as portableCrc32 } from '../protocol/crc32.ts';
import type { AuditRecord } from '../protocol/schemas/audit.ts';
import type { ServerConfig } from '../protocol/schemas/config.ts';
import type { FileList, FileStatus } from '../protocol/schemas/files.ts';
import type { Client, ClientCreated } from '../protocol/schemas/identity/client.ts';
import type { Verified } from '../protocol/schemas/identity/oauth.ts';
import type { Person } from '../protocol/schemas/identity/people.ts';
import type { Role } from '../protocol/schemas/role.ts';
import type { History, TransferList } from '../protocol/schemas/transfer.ts';
import { type AuditOptions, auditOf } from './calls/audit.ts';
import { DeliveryCalls } from './calls/deliveries.ts';
import { FileCalls } from './calls/files.ts';
import type { CallOptions, Crc32 } from './calls/options.ts';
import { ClientCalls, TenantCalls, TokenCalls, UserCalls } from './calls/principals.ts';
import { QuotaCalls } from './calls/quotas.ts';
import { Requests } from './calls/requests.ts';
import type { Credentials } from './calls/session.ts';
import { GrantCalls, PlayerCalls, SessionCalls, ShareCalls } from './calls/sharing.ts';
import { VerificationCalls } from './calls/verification-calls.ts';
import { type DownloadOptions, type DownloadResult, type DownloadSink, downloadTo } from './transfer/download.ts';
import { type StreamOptions, stream } from './transfer/stream.ts';
import { type UploadOptions, type UploadResult, type UploadSource, upload } from './transfer/upload.ts';
import { type UploadStreamOptions, uploadStream } from './transfer/upload-stream.ts';
import { fetchTransport } from './transport/fetch.ts';
import type { Transport } from './transport/transport.ts';

export { LadingError } from '../errors.ts';
export type { Delivery, NewTarget, Target, TargetCreated } from '../protocol/schemas/delivery.ts';
export type { LadingEvent } from '../protocol/schemas/event.ts';
export type { Grant, GrantList, NewGrant } from '../protocol/schemas/grant.ts';
export type { Session } from '../protocol/schemas/identity/account.ts';
export type { ApiToken, ApiTokenCreated } from '../protocol/schemas/identity/token.ts';
export type { Player } from '../protocol/schemas/player.ts';
export type { NewQuota, QuotaReport } from '../protocol/schemas/quota.ts';
export type { NewShare, Share, ShareCreated } from '../protocol/schemas/share.ts';
export type * from './calls/options.ts';
export { blobSource } from './files/blob-source.ts';
export { NameInUseError } from './transfer/upload-state.ts';
export { NetworkError, SourceChangedError, VerificationError } from './transport/failures.ts';
export type { AuditRecord, Client, ClientCreated, FileList, FileStatus, Person, Role };

/** Options of a client. */
export interface LadingClientOptions extends Credentials {
  /** URL of the server, including its path: `https://files.example.org` or `https://example.org/lading/`. */
  server: string;
  /** Sends the requests; by default `fetch`. `lading/client/node` provides a faster transport for Node. */
  transport?: Transport;
  /** A faster CRC-32 than the portable implementation. */
  crc32?: Crc32;
  /** Milliseconds without a byte in either direction after which a request fails; default 60,000. */
  idleMs?: number;
}

/** A client of one server. */
export class LadingClient extends FileCalls {
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
  readonly calls: VerificationCalls;

  /** @throws TypeError when `server` is not an http(s) URL */
  constructor(options: LadingClientOptions) {
    const { server, transport = fetchTransport(), idleMs = 60_000, crc32 = portableCrc32 } = options;
    const requests = new Requests(server, transport, options, idleMs);
    super(requests, crc32);
    const { json } = requests;
    this.clients = new ClientCalls(json);
    this.tokens = new TokenCalls(json);
    this.users = new UserCalls(json);
    this.tenants = new TenantCalls(json);
    this.quotas = new QuotaCalls(json);
    this.shares = new ShareCalls(json);
    this.players = new PlayerCalls(json);
    this.grants = new GrantCalls(json);
    this.sessions = new SessionCalls(json);
    this.deliveries = new DeliveryCalls(json);
    this.calls = new VerificationCalls(json);
  }

  /** Returns a valid token, and signs in if necessary. Throws `unauthorized`. */
  async token(): Promise<string> {
    return this.requests.session.token();
  }

  /** True when the server is healthy. Needs no credentials. */
  async health(options: CallOptions = {}): Promise<boolean> {
    const response = await this.requests.unsigned('GET', 'health', options.signal);
    response.discard();
    return response.status === 200;
  }

  /** Parks stale uploads, removes expired ones and seals idle uploads of undeclared size. For administrators. */
  async sweep({ signal }: CallOptions = {}): Promise<{ removed: number; sealed: number; parked?: number }> {
    return this.requests.responses.json(
      await this.requests.call('POST', 'api/sweep', { body: [], signal, idleMs: 3_600_000 }),
    );
  }

  /** The audit log, newest entry first. For administrators. */
  audit(options: AuditOptions = {}): AsyncGenerator<AuditRecord> {
    return auditOf(this.requests.json, options);
  }

  /** Uploads a file, or resumes its upload; see `client/transfer/upload.ts`. */
  async upload(source: UploadSource, options: UploadOptions): Promise<UploadResult> {
    return upload(this, source, options);
  }

  /** Uploads a stream as a new file; see `client/transfer/upload-stream.ts`. */
  async uploadStream(source: AsyncIterable<Uint8Array>, options: UploadStreamOptions): Promise<UploadResult> {
    return uploadStream(this, source, options);
  }

  /** Downloads a file, or resumes its download; see `client/transfer/download.ts`. */
  async downloadTo(name: string, sink: DownloadSink, options: DownloadOptions = {}): Promise<DownloadResult> {
    return downloadTo(this, name, sink, options);
  }

  /** Reads a file or a range of it as a stream that resumes after interruptions; see `client/transfer/stream.ts`. */
  read(name: string, options: StreamOptions = {}): AsyncGenerator<Uint8Array> {
    return stream(this, name, options);
  }

  /** The principal and the rights of the token. */
  whoAmI({ signal }: CallOptions = {}): Promise<Verified> {
    return this.requests.json('GET', 'api/token/verify', { signal });
  }

  /** Unfinished uploads of the caller; for ops and administrators, those of the tenant. */
  transfers({ limit, signal }: { limit?: number } & CallOptions = {}): Promise<TransferList> {
    return this.requests.json('GET', 'api/transfers', { query: { limit }, signal });
  }

  /** Server statistics of the last hour. For ops and administrators. */
  history({ signal }: CallOptions = {}): Promise<History> {
    return this.requests.json('GET', 'api/history', { signal });
  }

  /** The settings of the server. Secrets are masked. For administrators. */
  config({ signal }: CallOptions = {}): Promise<ServerConfig> {
    return this.requests.json('GET', 'api/config', { signal });
  }

  /** Closes all connections. */
  async close(): Promise<void> {
    await this.requests.close();
  }
}
