/** Documents of delivery targets and deliveries, as they are stored. */

/** Which finished files, or events, are for a target. Empty and null: all. */
export interface DeliveryRule {
  /** Id of the client or person in the target's tenant. */
  owner: string | null;
  prefix: string;
  /** Media type, or the first half of one and a slash: `audio/`. */
  type: string | null;
}

export interface TargetBase {
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
  disabled?: {
    at: number;
    reason: string;
    /** The server disabled it by itself, and the audit log does not say so yet: the id of the event that does. */
    unrecorded?: string;
  };
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
