/**
 * Counts the downloads of a share link.
 *
 *     whole file requested → held → sent: one download
 *                                 → interrupted: forgiven within the allowance, otherwise one download
 *     part requested → promised → sent: forgiven; when the parts sent to one network make up the file, one download
 *
 * So probes, previews and players that read the beginning use no download. A download in parts, or one that resumes after an interruption,
 * counts once. The allowance is limited: for each download, the size of the file again and some bytes for probes.
 */

import { MAX_COUNT } from '../../protocol/bounds.ts';
import type { Extent } from '../../protocol/extents.ts';
import type { ShareDocument } from '../../records/sharing.ts';

/** Bytes that an interrupted reply may have sent without delivering them, because they were in buffers. */
const MAX_IN_BUFFERS = 8 * 1024 * 1024;
/** Minimum allowance for each download, which matters for very small files. */
const PROBE_BYTES = 16 * 1024;
/** Minimum cost of a reply, in bytes. */
const MIN_COST = 512;
/** Networks whose parts are stored, and ranges of each network; the oldest are dropped first. */
const MAX_TAKERS = 16;
const MAX_RUNS = 64;

/** Parts that were sent to one network and do not make up the file yet. */
export interface NetworkParts {
  /** A hash of the network. */
  by: string;
  /** Ranges as first and last byte, ascending, with gaps between them. */
  runs: [number, number][];
}

/** A request for the file of a share link. */
export interface DownloadRequest {
  extents: readonly Extent[];
  /** The request has a Range, which the server may answer with the whole file. */
  ranged: boolean;
  /** A hash of the network of the client. */
  by: string;
}

/** Content of a reply: the whole file as a download, or the requested part. */
type Kind = 'whole' | 'part';

/** Result of a reply. */
export interface DownloadResult {
  kind: Kind;
  wanted: DownloadRequest;
  /** Bytes of the file that were sent. */
  bytes: number;
  /** True if the whole reply was sent. */
  complete: boolean;
}

/** The counters in the document of a share link. */
export type ShareUse = Pick<ShareDocument, 'downloads' | 'held' | 'lost' | 'promised' | 'takers'>;

/** The counters of a new link. */
export const NO_USE: ShareUse = { downloads: 0, held: 0, lost: 0, promised: 0, takers: [] };

/** True while the link has a download left. A running reply may hold it. */
export function hasDownloadLeft({ maxDownloads, downloads }: ShareDocument): boolean {
  return maxDownloads === null || downloads < maxDownloads;
}

/** The content that a reply may send; null if no download is free. */
export function admittedKind(document: ShareDocument, wanted: DownloadRequest): Kind | null {
  const { maxDownloads, downloads, held } = document;
  const isWhole = isWholeFile(document, wanted.extents);
  if (maxDownloads === null) return isWhole ? 'whole' : 'part';
  if (!hasDownloadLeft(document)) return null;
  const free = downloads + held < maxDownloads;
  const forgiven = wanted.ranged && costOf(wanted.extents) <= allowanceLeft(document);
  if (isWhole) return free ? 'whole' : forgiven ? 'part' : null;
  return forgiven ? 'part' : free ? 'whole' : null;
}

/** The counters with a reservation for a running reply. */
export function withReservation(
  { held, promised }: ShareDocument,
  kind: Kind,
  wanted: DownloadRequest,
): Pick<ShareUse, 'held' | 'promised'> {
  return kind === 'whole' ? { held: held + 1, promised } : { held, promised: promised + costOf(wanted.extents) };
}

/** The counters after a reply. */
export function withResult(document: ShareDocument, result: DownloadResult): ShareUse {
  const { kind, wanted, bytes, complete } = result;
  const { takers, lost, downloads } = document;
  const held = kind === 'whole' ? document.held - 1 : document.held;
  const promised = kind === 'part' ? document.promised - costOf(wanted.extents) : document.promised;
  if (kind === 'whole' && complete) {
    return { downloads: downloads + 1, held, promised, lost, takers: takers.filter(({ by }) => by !== wanted.by) };
  }
  const extents = kind === 'whole' ? [{ start: 0, end: document.size - 1 }] : wanted.extents;
  const cost = bytes === 0 ? 0 : Math.max(bytes, MIN_COST);
  const counted = withSentParts(document, { ...wanted, extents }, bytes, complete);
  if (counted.whole) {
    return {
      downloads: downloads + 1,
      held,
      promised,
      lost: Math.max(0, lost + cost - document.size),
      takers: counted.takers,
    };
  }
  const forgives = kind === 'part' || cost <= allowanceLeft({ ...document, held, promised });
  if (!forgives) return { downloads: downloads + 1, held, promised, lost, takers: counted.takers };
  return { downloads, held, promised, lost: lost + cost, takers: counted.takers };
}

/** The counters after a crash: running replies count as interrupted at an unknown position. */
export function afterCrash(document: ShareDocument): ShareUse {
  const { takers, promised, size, downloads, held } = document;
  const lost = document.lost + promised;
  const left = allowanceLeft({ ...document, promised: 0, lost });
  // Computed without a loop: a damaged document may contain any number.
  const forgiven = left < 0 ? 0 : Math.min(held, size === 0 ? held : Math.floor(left / size));
  return {
    downloads: Math.min(MAX_COUNT, downloads + held - forgiven),
    held: 0,
    promised: 0,
    lost: Math.min(MAX_COUNT, lost + forgiven * size),
    takers,
  };
}

function allowanceLeft({ maxDownloads, size, lost, promised }: ShareDocument): number {
  if (maxDownloads === null) return Number.POSITIVE_INFINITY;
  return maxDownloads * (size + Math.min(size, MAX_IN_BUFFERS) + PROBE_BYTES) - lost - promised;
}

function costOf(extents: readonly Extent[]): number {
  return Math.max(
    MIN_COST,
    extents.reduce((sum, { start, end }) => sum + end - start + 1, 0),
  );
}

/** True if the extents cover the whole file. */
export function isWholeFile({ size }: ShareDocument, extents: readonly Extent[]): boolean {
  const [extent] = extents;
  return size === 0 || (extents.length === 1 && extent?.start === 0 && extent.end === size - 1);
}

/** Adds sent parts to those of a network. Once they make up the whole file, they are dropped. */
function withSentParts(
  { takers, size }: ShareDocument,
  { by, extents }: Pick<DownloadRequest, 'by' | 'extents'>,
  bytes: number,
  complete: boolean,
): { whole: boolean; takers: NetworkParts[] } {
  const others = takers.filter((taker) => taker.by !== by);
  const before = takers.find((taker) => taker.by === by)?.runs ?? [];
  // The last byte of the file does not count as sent in an interrupted reply.
  const [first] = extents;
  const sent =
    complete || !first ? extents : [{ start: first.start, end: Math.min(first.start + bytes - 1, size - 2) }];
  const runs = merged([...before, ...sent.map(({ start, end }): [number, number] => [start, end])]);
  const [run] = runs;
  if (runs.length === 1 && run?.[0] === 0 && run[1] === size - 1) return { whole: true, takers: others };
  if (runs.length === 0) return { whole: false, takers };
  return { whole: false, takers: [...others, { by, runs: runs.slice(-MAX_RUNS) }].slice(-MAX_TAKERS) };
}

function merged(runs: [number, number][]): [number, number][] {
  const result: [number, number][] = [];
  for (const [start, end] of runs.filter(([start, end]) => end >= start).sort((a, b) => a[0] - b[0])) {
    const last = result.at(-1);
    if (last !== undefined && start <= last[1] + 1) last[1] = Math.max(last[1], end);
    else result.push([start, end]);
  }
  return result;
}
