/**
 * All paths of the data directory. No other file builds them.
 *
 *     <data dir>/v1/                      the version of the format is in the path
 *       lock                              names the server that uses the directory
 *       clean                             exists only after a clean stop
 *       date                              the time of the last run, in milliseconds
 *       spare                             space that a start on a full disk releases
 *       tmp/                              files being written or removed; emptied at every start
 *       files/<aa>/<id>/                  one directory per file; <aa> is the first two digits of the id
 *         file.json                       its document
 *         part                            its bytes, while it is an upload
 *         blob                            its bytes, once it is sealed; empty if other blobs hold them
 *         manifest                        the journal of its chunks
 *       <collection>/<id>.json            small documents: clients, people, sign-ins, …
 *       audit/<YYYY-MM>.jsonl             the audit log of that month, one line per entry
 *       secrets/<name>                    mode 0600
 */
import * as path from 'node:path';
import type { CollectionName } from '../../../contracts/store.ts';
import { assertDocumentId, assertFileId, assertSecretName, isDocumentId } from '../../names.ts';

const AUDIT_FILE = /^(\d{4}-(?:0[1-9]|1[0-2]))\.jsonl$/;

const SHARD = /^[0-9a-f]{2}$/;

/** The paths of one stored file. */
export interface FilePaths {
  directory: string;
  document: string;
  part: string;
  blob: string;
  manifest: string;
  /** The directory that holds `directory`. */
  shard: string;
}

/** The version of the directory: `v1` has a document and a journal in the directory of each file, `v2` has a ledger. */
export type Format = 'v1' | 'v2';

/** The paths of one data directory. */
export class Layout {
  readonly dataDir: string;
  readonly root: string;
  readonly lock: string;
  readonly clean: string;
  readonly date: string;
  readonly spare: string;
  readonly tmp: string;
  readonly files: string;
  readonly secrets: string;
  readonly audit: string;
  /** The database of format `v2`. */
  readonly ledger: string;

  constructor(dataDir: string, format: Format = 'v1') {
    this.dataDir = path.resolve(dataDir);
    this.root = path.join(this.dataDir, format);
    this.lock = path.join(this.root, 'lock');
    this.clean = path.join(this.root, 'clean');
    this.date = path.join(this.root, 'date');
    this.spare = path.join(this.root, 'spare');
    this.tmp = path.join(this.root, 'tmp');
    this.files = path.join(this.root, 'files');
    this.secrets = path.join(this.root, 'secrets');
    this.audit = path.join(this.root, 'audit');
    this.ledger = path.join(this.root, 'ledger');
  }

  shard(name: string): string {
    return path.join(this.files, name);
  }

  /** Throws a RangeError for an invalid id. */
  file(id: string): FilePaths {
    assertFileId(id);
    const shard = this.shard(id.slice(0, 2));
    const directory = path.join(shard, id);
    return {
      directory,
      document: path.join(directory, 'file.json'),
      part: path.join(directory, 'part'),
      blob: path.join(directory, 'blob'),
      manifest: path.join(directory, 'manifest'),
      shard,
    };
  }

  collection(name: CollectionName): string {
    return path.join(this.root, name);
  }

  document(collection: CollectionName, id: string): string {
    assertDocumentId(id);
    return path.join(this.collection(collection), `${id}.json`);
  }

  /** @param month `YYYY-MM` */
  auditFile(month: string): string {
    return path.join(this.audit, `${month}.jsonl`);
  }

  secret(name: string): string {
    assertSecretName(name);
    return path.join(this.secrets, name);
  }
}

/** The month (`YYYY-MM`) of a file of the audit log. Null for any other file. */
export function auditMonthOf(fileName: string): string | null {
  return AUDIT_FILE.exec(fileName)?.[1] ?? null;
}

/** True for the name of one of the 256 directories that ids are spread over, so that no directory grows too large. */
export function isShard(name: string): boolean {
  return SHARD.test(name);
}

/** The id of the document in a file of a collection. Null for any other file. */
export function documentIdOf(fileName: string): string | null {
  const id = fileName.endsWith('.json') ? fileName.slice(0, -'.json'.length) : '';
  return isDocumentId(id) ? id : null;
}
