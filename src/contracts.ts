/**
 * The doors: every interface between rooms, types only. `engine` asks, `storage` and `identity` answer, `compose` introduces
 * them to each other. Sizes and offsets are bytes, extents are inclusive `[start, end]`, times are milliseconds since the epoch.
 */

import type { Extent } from './protocol/extents.ts';
import type { DigestAlgorithm, HashAlgorithm } from './protocol/http/digests.ts';
import type { Role } from './protocol/schemas/files.ts';
import type { Scope } from './protocol/scopes.ts';

/** The time. Dates and durations are two things: an administrator or a time server may set the date, nobody sets how long a wait is. */
export interface Clock {
  /** The date: milliseconds since the epoch. For what is shown or kept, never for how long something takes. */
  now(): number;
  /** Milliseconds since some moment of this process. Never goes back. For waits, rates, limits and everything that lives in memory. */
  monotonic(): number;
  /**
   * Milliseconds that have surely passed since a date that was kept; 0 when in doubt. For what cannot be taken back, such as a removal.
   */
  since(date: number): number;
  /**
   * Milliseconds on the time line of the server, which looks like a date and is none: it only passes, also over restarts, whatever date
   * somebody sets. Until when a right lasts is judged by it, and kept by it.
   */
  steady(): number;
  /** Milliseconds that have surely passed since a moment of the time line; how long the machine was off does not count. */
  passed(moment: number): number;
  /** The date of a moment of the time line, as the clock is set now: to be shown. */
  dateOf(moment: number): number;
  /** The latest date that was given out before the date was set back; 0: it never was. */
  readonly latest: number;
}

// ---------------------------------------------------------------- bytes

/** What is to happen with a part of a segment: new bytes are written, bytes already stored are compared. */
export interface Piece {
  extent: Extent;
  action: 'write' | 'compare';
}

/** Bytes that travel to a worker and back. The buffer is transferred: between `write` and its result nobody holds it. */
export interface SegmentJob {
  buffer: ArrayBuffer;
  /** Bytes of `buffer` in use, from 0. */
  length: number;
  /** Offset in the file of the first of them. */
  start: number;
  /** Disjoint, ascending, together exactly `[start, start + length - 1]`. */
  pieces: Piece[];
}

export interface SegmentResult {
  buffer: ArrayBuffer;
  /** Sum of the segment's bytes modulo 256. */
  sum: number;
  /** CRC-32 of the whole segment. */
  crc32: number;
  /** CRC-32 of each piece, in the order of the job's pieces. */
  pieceCrcs: number[];
  /** True when a compared piece differs from what is stored. */
  conflict: boolean;
}

/** The growing bytes of one open upload. Several may hold it at once; the handle lives until the last `release`. */
export interface Part {
  /** Checksums, compares and writes one segment off the main thread. ENOSPC/EDQUOT become `insufficient_storage`. */
  write(job: SegmentJob): Promise<SegmentResult>;
  /** Makes everything written so far durable. */
  sync(): Promise<void>;
  /** Fills `into` from `position`; the number of bytes read, less than asked only at the end of the file. */
  read(into: Uint8Array, position: number): Promise<number>;
  /** Gives the room behind `size` back. Callers make sure that nothing there counts, and that nobody writes there meanwhile. */
  cut(size: number): Promise<void>;
  release(): void;
}

/** Bytes of a file, open or sealed, for reading. */
export interface Reader {
  read(into: Uint8Array, position: number): Promise<number>;
  release(): void;
}

/** Where the bytes are, by file id. Implementations: `storage/disk`. */
export interface BlobStore {
  /** Makes an empty part. It needs no durability: without a catalog document it is a leftover. */
  create(id: string): Promise<void>;
  /**
   * Of a sealed file too, for `compare` pieces; a `write` piece opens a seal again that no document speaks of yet. `not_found`
   * when there is neither.
   */
  openPart(id: string): Promise<Part>;
  /**
   * The commit point of the bytes: cut to `size`, sync, rename part → blob, sync directory. Idempotent: a blob already sealed
   * is left alone. After a sync that failed before, everything the manifest lists is written again, for the system may have
   * dropped it while a second sync reports success.
   */
  seal(id: string, size: number): Promise<void>;
  /** Opens the part or the sealed blob, whichever there is; `not_found` if neither. Stays readable after `remove`. */
  openReader(id: string): Promise<Reader>;
  /** Bytes of the part or the sealed blob, whichever there is; null if neither. */
  size(id: string): Promise<number | null>;
  /**
   * Gives the bytes of a part that nobody writes any more a second, sealed life under a new id, without copying them; durable when it
   * resolves. False, and nothing done, where the disk cannot do that.
   */
  share(from: string, to: string): Promise<boolean>;
  /** Removes whatever is stored under the id, manifest included; no error when there is nothing. */
  remove(id: string): Promise<void>;
  /** The ids of everything stored. */
  list(): Promise<string[]>;
}

/** Bytes of one blob. */
export interface BlobExtent {
  id: string;
  /** Empty when `end < start`. */
  extent: Extent;
}

/** Long reads of stored bytes, off the main thread and away from the segment workers. */
export interface Inspector {
  /** Digest of `prefix` followed by the stored bytes of `extent` (none for an empty extent, `end < start`). */
  digest(id: string, algorithm: HashAlgorithm, extent: Extent, prefix?: Uint8Array): Promise<Uint8Array>;
  /** The same of bytes that lie in several blobs, one part after the other. */
  digestParts(parts: readonly BlobExtent[], algorithm: HashAlgorithm, prefix?: Uint8Array): Promise<Uint8Array>;
  /** Reads the bytes of each record again; the indexes of those whose CRC-32 does not agree. */
  verify(id: string, records: readonly ManifestRecord[]): Promise<number[]>;
}

// ---------------------------------------------------------------- manifest

export interface ManifestRecord {
  start: number;
  /** Inclusive. */
  end: number;
  crc32: number;
  /** The data was on stable storage before this record was written (durability `chunk`). */
  synced: boolean;
  time: number;
  /** The journal held it damaged, and its checksum told what it was. Its bytes are compared before it counts. Never stored. */
  repaired?: true;
}

/** The journal of one upload: what it lists was verified and stored; nothing else counts. */
export interface Manifest {
  /**
   * Appends in one write; with `durable` it is on stable storage when the promise resolves. After a failed append the journal
   * is as it was. Callers serialise: one append at a time.
   */
  append(records: readonly ManifestRecord[], durable: boolean): Promise<void>;
  sync(): Promise<void>;
  release(): void;
}

export interface ManifestStore {
  create(id: string): Promise<void>;
  /** Every record of the journal that is intact or can be repaired, in their order. `not_found` when there is no journal. */
  read(id: string): Promise<ManifestRecord[]>;
  open(id: string): Promise<Manifest>;
  /** Replaces the journal by these records, atomically and durably (recovery forgets what failed its check). */
  rewrite(id: string, records: readonly ManifestRecord[]): Promise<void>;
}

// ---------------------------------------------------------------- documents

/** One file or one upload on its way. Written when something about the file changes, never per chunk. */
export interface FileDocument {
  id: string;
  owner: string;
  name: string;
  /** `open`: bytes may still come. `sealed`: complete for good. */
  state: 'open' | 'sealed';
  /** Declared by the client; fixed once known. Null: undeclared. When sealed: the size. */
  size: number | null;
  contentType: string | null;
  /** What the client said the whole file's digest is, checked before it becomes complete. */
  reprDigest: { algorithm: DigestAlgorithm; value: string } | null;
  /** CRC-32 of the whole file, known when sealed. */
  crc32: number | null;
  createdAt: number;
  /** Of the last change that was written here; an open upload's own truth is the time of its last manifest record. */
  updatedAt: number;
  completedAt: number | null;
  /** The same on the time line (`Clock.steady`); absent in documents of earlier versions. */
  sealedAt?: number;
  /** Last-Modified, where a date of before says something else: see `last-modified.ts`. */
  modifiedAt?: number;
  /** Id of the complete file that this upload replaces when it is sealed. */
  replaces: string | null;
  /** Open: date since when it is parked, for nothing came for long. */
  staleAt?: number;
  /** Sealed: nobody said its size, and silence ended it. A chunk past its end continues it. */
  undeclared?: true;
  /** Open: it continues a file that was complete, which stays readable. Size, CRC-32 and date of that one. */
  continues?: { size: number; crc32: number; completedAt: number };
  /** It was begun with overwrite=true, whether there was a file of its name or not. */
  overwrites?: true;
  /** Open: it was begun beside another unfinished upload of its name, and takes the name once it is complete. */
  aside?: true;
  /**
   * Ids of unfinished uploads of the same name. Open: those that end with it, unless somebody sends to them then. Sealed: those that ended
   * with it; the document says so, so that a crash leaves them or the file and never neither.
   */
  ends?: string[];
  /** Where the bytes are, one piece after the other, if not in the file's own blob; each of them sealed under an id of its own. */
  pieces?: { id: string; size: number }[];
  /** It has an address of its own, at which bytes of any length are appended (tus). */
  resource?: ResourceDocument;
}

/** An upload that is found by its own address. */
export interface ResourceDocument {
  /** SHA-256 of the secret half of the address, in hexadecimal. */
  keyHash: string;
  /** Who began it. */
  creator: Subject;
  /** `Upload-Metadata` as it came. */
  metadata: string | null;
  /** Complete only when whoever appends says so, however many bytes are there. */
  endsWhenTold?: true;
  /** A piece of files to come, never a file by itself. */
  partial?: true;
  /** Of a piece: a file has its bytes too. */
  joined?: true;
  /** Made of other uploads, once all of them are whole. */
  final?: JoinDocument;
}

export interface JoinDocument {
  /** Ids of partial uploads, in the order of their bytes. */
  parts: string[];
  /** `Upload-Concat` as it came. */
  said: string;
}

/** Who owns what under which name: at most one sealed document and one open one a name, besides those set aside. */
export interface Slot {
  sealed: FileDocument | null;
  open: FileDocument | null;
}

export interface ListQuery {
  owner: string;
  prefix: string;
  /** Names strictly after this one; null from the start. */
  after: string | null;
  limit: number;
}

/** Implementations: `storage/lowdb`. Names sort by their UTF-16 code units. */
export interface Catalog {
  find(owner: string, name: string): Promise<Slot>;
  list(query: ListQuery): Promise<{ name: string; slot: Slot }[]>;
  /** Every open document (recovery and sweep). */
  listOpen(): Promise<FileDocument[]>;
  /** True when a document of this id exists, or one that has a piece of this id. */
  has(id: string): Promise<boolean>;
  /** The document of this id. */
  get(id: string): Promise<FileDocument | null>;
  /**
   * Durable when it resolves, atomic always. Putting a sealed document makes the sealed one that it replaces and the open ones that it
   * ends disappear in the same step; the caller then removes their bytes.
   */
  put(document: FileDocument): Promise<void>;
  /**
   * Puts a changed document in place of the one that is there; it must keep its state and its place. Nothing happens when there is none, or
   * when it is replaced or removed meanwhile: it never comes back.
   */
  amend(id: string, change: (document: FileDocument) => FileDocument): Promise<void>;
  remove(id: string): Promise<void>;
  /** Tells of every sealed document that comes (`there`) and goes, in the very step in which it does; first of all that are there. */
  follow(listener: (document: FileDocument, there: boolean) => void): void;
}

/** What somebody uses. */
export interface Use {
  /** Bytes stored: of complete files, and of uploads as far as they have come. */
  bytes: number;
  openUploads: number;
  /** Bytes that were stored since midnight UTC, whatever became of them. */
  dayBytes: number;
}

/** Who may use how much. Implementations: `identity`. Nothing here may wait: it is asked for every chunk. */
export interface Quota {
  /** Those whose use counts together with this owner's: its tenant. */
  groupOf(owner: string): string;
  /**
   * Asked before an owner uses `more`; what it and its group use now does not include that.
   * @throws LadingError `quota_exceeded` with `expected` (the limit) and `actual` (what it would be)
   */
  admit(owner: string, now: { own: Readonly<Use>; group: Readonly<Use> }, more: Partial<Use>): void;
}

/** Null: the server's own limit; 0: none. */
export interface QuotaLimits {
  bytes: number | null;
  openUploads: number | null;
  dayBytes: number | null;
}

// ---------------------------------------------------------------- what happens

/** What happens to files, as it happens. */
export type FileHappening =
  | {
      type: 'file.created' | 'file.completed' | 'file.deleted';
      file: Readonly<FileDocument>;
    }
  | {
      type: 'upload.cancelled' | 'upload.stale' | 'upload.expired';
      file: Readonly<FileDocument>;
      /** Bytes stored of it. */
      received: number;
      /** Of `upload.stale`: date before which it is not removed; null: never. */
      expiresAt?: number | null;
    }
  | {
      type: 'chunk.received';
      file: Readonly<FileDocument>;
      /** Bytes of the chunk that were not there before. */
      fresh: number;
      /** Bytes stored now, and of how many; null: undeclared. */
      received: number;
      total: number | null;
    };

/** Something that is about to happen to files, and that others are to hear of even if the server is killed in between. */
export interface Announcement {
  /** Resolves when it is on stable storage. */
  ready: Promise<void>;
  /** To be called afterwards: what did not happen until now does not happen. */
  end(): void;
}

/** Of a change that is recorded in the audit log. */
export interface AnnouncedChange extends Announcement {
  /** To be given with the entry. */
  key: string;
}

// ---------------------------------------------------------------- delivery

/** Which finished files, or events, are for a target. Empty and null: all. */
export interface DeliveryRule {
  /** Id of the client or person in the target's tenant. */
  owner: string | null;
  prefix: string;
  /** Media type, or the first half of one and a slash: `audio/`. */
  type: string | null;
}

interface TargetBase {
  id: string;
  tenant: string;
  name: string;
  rule: DeliveryRule;
  createdAt: number;
  /** The same on the time line (`Clock.steady`); absent in documents of earlier versions. */
  madeAt?: number;
  /** Password or signing key, sealed. */
  secret: string;
  /** Nothing is sent to it: since when, and why. */
  disabled?: { at: number; reason: string };
  /** When it was last enabled again, on the time line: files that became complete before are not sent. */
  enabledAt?: number;
  /** It was deleted, and is kept until what its deliveries left on its server is removed. */
  retired?: true;
}

/** An FTP server that finished files are put on. */
export interface FtpTargetDocument extends TargetBase {
  kind: 'ftp' | 'ftps';
  host: string;
  port: number;
  username: string;
  directory: string;
  /** Of names there, with the words in braces. */
  pattern: string;
  /** PEM of whoever vouches for the server; null: those that Node knows. */
  ca: string | null;
  /** FTPS: TLS from the first byte instead of AUTH TLS. */
  implicit?: true;
}

/** A URL that is told of events. */
export interface WebhookTargetDocument extends TargetBase {
  kind: 'webhook';
  url: string;
  events: string[];
  /** `file`: it gets complete files themselves instead of events. */
  content: 'event' | 'file';
}

export type TargetDocument = FtpTargetDocument | WebhookTargetDocument;

/** One thing on its way to one target. */
export interface DeliveryDocument {
  id: string;
  targetId: string;
  tenant: string;
  event: string;
  /** Key, as the engine knows it, name and id of the file that it is about; null: about none. */
  owner: string | null;
  fileName: string | null;
  fileId: string | null;
  /** Size and CRC-32 of the complete file: one that goes on is sent anew. Absent: of another event, or of before. */
  version?: string;
  /** The name that it was about to get on an FTP server. */
  remoteName?: string;
  /** Temporary names that tries may have left on an FTP server; those of folders end with a slash. */
  litter?: readonly string[];
  /** It is over, and its litter is to be removed: not before, on the time line, and after so many tries. */
  cleanAt?: number;
  cleanTries?: number;
  /** The event has not happened yet; see `delivery/outbox`. */
  announced?: true;
  /** JSON of the event, for webhooks. */
  payload: string | null;
  /** `cancelled`: the file or the target was gone before. */
  state: 'queued' | 'delivered' | 'failed' | 'cancelled';
  attempts: number;
  /** How often an administrator tried it again from the beginning. */
  retries?: number;
  lastError: string | null;
  createdAt: number;
  /** Not before, on the time line (`Clock.steady`); null once it is over. */
  nextAt: number | null;
  endedAt: number | null;
}

// ---------------------------------------------------------------- identity

/** What sort of being asks: a machine with a secret of its own, a person, or a program with an API token of either. */
export type PrincipalKind = 'device' | 'person' | 'token';

/** Somebody who can own things: a client or a person. */
export interface Subject {
  id: string;
  kind: 'device' | 'person';
}

/** Who asks. Every way of signing in ends in one of these. */
export interface Principal {
  /** Of the client or the person; of an API token that of its owner, whose files it works on. */
  readonly id: string;
  readonly tenant: string;
  readonly kind: PrincipalKind;
  readonly role: Role;
  readonly scopes: ReadonlySet<Scope>;
}

/** Small documents of one kind by their id, all of them read at the start. Implementations: `storage/lowdb`. */
export interface Collection<T> {
  find(id: string): Promise<T | null>;
  /** In the order of their ids. */
  list(): Promise<T[]>;
  /** Durable when it resolves, atomic always. */
  put(document: T): Promise<void>;
  /** Durable when it resolves; false when there was none. */
  remove(id: string): Promise<boolean>;
}

/** What a run of the server leaves of its time for the next one, in milliseconds. */
export interface KeptTime {
  /** A date beyond doubt; null: there was none. */
  date: number | null;
  /** How far the date was ahead of the time line then. */
  ahead: number;
  /** As `Clock.latest`. */
  latest: number;
  /** The time line when this was written. */
  steady: number;
  /** The run of the machine when this was written, and how long it was; null: unknown. */
  boot: string | null;
  uptime: number;
}

/** Where the server keeps the time of its last run. Implementations: `storage/disk`. */
export interface DateBox {
  /** Null when nothing was ever put in, or what is there is no time. */
  read(): Promise<KeptTime | null>;
  /** Durable when it resolves, atomic always. `insufficient_storage`. */
  write(time: KeptTime): Promise<void>;
}

/** A secret of the server's own, readable by nobody else on the machine. Implementations: `storage/disk`. */
export interface SecretBox {
  /** Null when nothing was ever put in. */
  read(): Promise<Uint8Array | null>;
  /** Durable when it resolves, atomic always. `insufficient_storage`. */
  write(bytes: Uint8Array): Promise<void>;
}

/** A machine that may sign in. */
export interface ClientDocument {
  clientId: string;
  tenant: string;
  role: Role;
  name: string | null;
  /** A salted hash that names its own parameters; never leaves `identity`. */
  secretHash: string;
  createdAt: number;
  lastUsed: number | null;
  /** Of documents without a generation: access tokens issued before are refused, the secret was another one then. */
  notBefore: number | null;
  /** Changes with the secret and whatever else ends sessions. Access tokens of another one are refused, whatever the date was. */
  generation?: string;
  /** It may do nothing until it is enabled again; nothing of it is forgotten. */
  disabled?: true;
  /** Absent: the server's own limits. */
  quota?: QuotaLimits;
  /** Number of the second factor, in E.164. */
  phone?: string;
}

export type CredentialStore = Collection<ClientDocument>;

/** An account at an outside provider that signs a person in. */
export interface OutsideAccount {
  /** Issuer of an OpenID provider, or the provider's name. */
  issuer: string;
  subject: string;
}

/** Those who offer files to others, and those who fetch them. */
export type AccountKind = 'ops' | 'client';

/** How a person signs in by a name instead of an e-mail address. */
export interface NamedAccount {
  kind: AccountKind;
  /** As it was chosen; unique within its kind and tenant, without regard to case. */
  username: string;
  /** Where to write to. Nobody signs in with it, for nobody has shown that it is theirs. */
  contact: string | null;
}

/** A person who may sign in. */
export interface PersonDocument {
  id: string;
  tenant: string;
  role: Role;
  /** To sign in with. In lower case; unique in a tenant. Null: signs in by `account`. */
  email: string | null;
  name: string;
  surname: string;
  /** Null: signs in through an outside provider only. */
  passwordHash: string | null;
  outside: OutsideAccount[];
  /** Absent: signs in by `email`. */
  account?: NamedAccount;
  /** They may do nothing until they are enabled again; nothing of them is forgotten. */
  disabled?: true;
  createdAt: number;
  lastUsed: number | null;
  /** Absent: the server's own limits. */
  quota?: QuotaLimits;
  /** Number of the second factor, in E.164. */
  phone?: string;
}

/** A session: a sign-in that can be renewed, with its family of refresh tokens, or one whose access token is good as long as it is. */
export interface SignInDocument {
  id: string;
  subject: string;
  kind: Subject['kind'];
  /** What it was limited to when it began; null: whatever its subject may. */
  scopes: Scope[] | null;
  /** SHA-256 of the youngest refresh token, in hex. */
  hash: string;
  /** This and the other times of it are moments of the time line of the server: see `Clock.steady`. */
  createdAt: number;
  expiresAt: number;
  /** When it was last renewed; absent: never. */
  renewedAt?: number;
  /** What the program that signed in calls itself. */
  agent?: string;
  /** Its access token is good until it ends. */
  long?: true;
  /** The network it began in, as failures are counted by. */
  network?: string;
  /** The refresh token before the youngest: its hash, the youngest sealed by it, and when it was used. */
  previous?: { hash: string; next: string; at: number };
}

export interface ApiTokenDocument {
  id: string;
  tenant: string;
  /** Who it acts for. */
  owner: string;
  ownerKind: Subject['kind'];
  name: string | null;
  /** What its maker calls whom it is for, if that is nobody's id. It gives no right. */
  label?: string;
  scopes: Scope[];
  /** The same in the words of its maker. */
  words?: string[];
  /** SHA-256 of the token, in hex; empty once it is revoked. */
  hash: string;
  createdAt: number;
  /** On the time line (`Clock.steady`); null: good until it is revoked. */
  expiresAt: number | null;
  /** On the time line; absent: it was not revoked. */
  revokedAt?: number;
  lastUsed: number | null;
  uses: number;
  /** Absent: never used since days are counted apart. */
  days?: TokenDays;
}

/** How often something was used on each of the last days, UTC. */
export interface TokenDays {
  /** Days since the epoch: of `today`. */
  day: number;
  today: number;
  /** Of the days before, the youngest last. */
  before: number[];
}

/** Who made something that outlives the request, and on what that rests besides their own right. */
export interface Maker extends Subject {
  /** An API token or a sign-in for less than its subject may; what was made with it ends with it. */
  through?: { kind: 'api-token' | 'sign-in'; id: string };
}

/** A link by which anybody reads one file. Times in milliseconds since the epoch, the rest in bytes of the file. */
export interface ShareDocument {
  id: string;
  /** Of the owner. */
  tenant: string;
  /** As the engine knows it. */
  owner: string;
  /** Of the file as it was when the link was made. */
  fileId: string;
  name: string;
  size: number;
  maker: Maker;
  /** SHA-256 of the token, in hex. */
  hash: string;
  /** Null: whoever has the link may read. */
  passwordHash: string | null;
  createdAt: number;
  /** On the time line (`Clock.steady`). */
  expiresAt: number;
  lastUsed: number | null;
  /** Null: any number. */
  maxDownloads: number | null;
  /** How often the whole file was sent, at once or in parts. */
  downloads: number;
  /** Downloads that answers are being sent for. */
  held: number;
  /** Bytes of parts and of answers that broke off, and forgiven. */
  lost: number;
  /** Bytes that parts are being sent of. */
  promised: number;
  /** By network, what was sent of the file and is not all of it: first and last bytes. The one that came last is the last. */
  takers: { by: string; runs: [number, number][] }[];
}

/** One file of an owner, or all whose names begin with something. */
export type GrantTarget =
  | { kind: 'prefix'; name: string }
  /** `fileId`: the file that has the name now. */
  | { kind: 'file'; name: string; fileId: string };

/** Somebody may read what is another's in the same tenant. Times in milliseconds since the epoch. */
export interface GrantDocument {
  id: string;
  tenant: string;
  /** As the engine knows it. */
  owner: string;
  target: GrantTarget;
  grantee: Subject;
  maker: Maker;
  createdAt: number;
  /** On the time line (`Clock.steady`); null: until it is revoked. */
  expiresAt: number | null;
}

/** An access token that was revoked before its time. */
export interface RevocationDocument {
  /** `jti` of the token. */
  id: string;
  /** When it would have expired, on the time line (`Clock.steady`). */
  until: number;
}

/** Those who share nothing with the others: files, names, listings, people and clients of their own. */
export interface TenantDocument {
  id: string;
  name: string;
  createdAt: number;
  /** Absent: the server's own limits. */
  quota?: QuotaLimits;
}

// ---------------------------------------------------------------- calls

/** That whoever has a credential has the telephone of its owner too. `until` is on the time line (`Clock.steady`). */
export interface Proof {
  /** Key of the client or person. */
  holder: string;
  /** Id of the sign-in, access token or API token. */
  credential: string;
  until: number;
}

/** A code that is spoken into a telephone. Its times are moments of the time line of the server: see `Clock.steady`. */
export interface CallDocument {
  id: string;
  /** Key of the client or person that asked for it. */
  caller: string;
  /** E.164. */
  phone: string;
  /** The code, sealed; null once it is worth nothing. */
  sealed: string | null;
  message: string | null;
  state: 'pending' | 'verified' | 'failed' | 'replaced' | 'expired';
  tries: number;
  /** When it was asked to be spoken, each time. */
  spokenAt: number[];
  speech: 'queued' | 'calling' | 'spoken' | 'failed';
  createdAt: number;
  expiresAt: number;
  /** What its verification proves, if anything. */
  proof: Proof | null;
}

// ---------------------------------------------------------------- audio

/** What is to be heard in a file; null where it does not tell. */
export interface Sound {
  /** By the content. */
  mediaType: string;
  durationSeconds: number | null;
  /** Samples per second. */
  sampleRate: number | null;
  channels: number | null;
  codec: string | null;
}

/** What is known of an audio file besides its `FileDocument`, which has the same id. */
export interface AudioDocument {
  id: string;
  description: string | null;
  /** What the sender called it. */
  originalName: string;
  /** Null: it was looked at, and is no audio. */
  sound: Sound | null;
}

// ---------------------------------------------------------------- audit

/** One thing that somebody did or was refused. Nothing in it is secret. */
export interface AuditEntry {
  time: number;
  /** What was done: `sign_in`, `client_created`, …; `refusal` for what was not. */
  action: string;
  outcome: 'ok' | 'refused';
  /** Who; null: nobody knows. */
  principal: string | null;
  kind: PrincipalKind | null;
  tenant: string | null;
  address: string | null;
  /** What it was done to. */
  target: string | null;
  detail: string | null;
  requestId: string | null;
  /** How often, since `time`: what repeats itself is one entry. */
  count: number;
}

export interface AuditQuery {
  /** Entries of this tenant; null: of all, and those of nobody's. */
  tenant: string | null;
  /** With a tenant: those of nobody's too. */
  nobodys: boolean;
  /** `nextCursor` of the page before; null for the youngest. */
  before: string | null;
  /** At most so many. */
  limit: number;
  action: string | null;
  principal: string | null;
}

export interface AuditPage {
  /** Youngest first; a page may hold fewer than asked for, none even, while there are more. */
  entries: AuditEntry[];
  nextCursor: string | null;
}

/** What happened, in the order in which it did; nothing in it is ever changed. Implementations: `storage/disk`. */
export interface AuditLog {
  /** Durable when it resolves. `insufficient_storage`; `overloaded` when too much waits to be written. */
  append(entry: AuditEntry): Promise<void>;
  /** Throws `invalid_request` for a cursor that is none. */
  page(query: AuditQuery): Promise<AuditPage>;
  /** When all that was appended is written. */
  close(): Promise<void>;
}
