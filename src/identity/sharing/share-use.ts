/**
 * How the downloads of a share link are counted.
 *
 *     the whole file asked for → held → sent: one download
 *                                     → broken off: forgiven, as far as the allowance goes; else one download
 *     a part asked for → promised → sent: forgiven; when the parts that went to one network make the whole file, one download
 *
 * A probe, a preview or a player that looks at the beginning takes no download then, and a download in parts or one that goes on after
 * an interruption is one. What is forgiven is bounded: for each download as much as the file again, and something for probes.
 */

import { MAX_COUNT } from '../../protocol/bounds.ts';
import type { Extent } from '../../protocol/extents.ts';
import type { ShareDocument } from '../../records/sharing.ts';

/** Answers that break off have sent more than arrived: what lies in buffers, but no more than the file. */
const MAX_IN_BUFFERS = 8 * 1024 * 1024;
/** Of a very small file so many bytes of parts are forgiven all the same, for each download. */
const PROBE_BYTES = 16 * 1024;
/** What an answer costs at least. */
const MIN_COST = 512;
/** Networks whose parts are remembered, and runs of bytes of each; beyond that the one that came longest ago is forgotten. */
const MAX_TAKERS = 16;
const MAX_RUNS = 64;

/** The parts that went to one network and make no whole file yet. */
export interface NetworkParts {
  /** A hash of the network. */
  by: string;
  /** First and last byte, ascending, with gaps between them. */
  runs: [number, number][];
}

/** What was asked for. */
export interface DownloadRequest {
  extents: readonly Extent[];
  /** By a Range: it may be answered with the whole file as well. */
  ranged: boolean;
  /** A hash of the network that asks. */
  by: string;
}

/** What an answer may send: all of the file as a download, or the part that was asked for. */
type Kind = 'whole' | 'part';

/** What an answer came to. */
export interface DownloadResult {
  kind: Kind;
  wanted: DownloadRequest;
  /** Bytes of the file, as far as they went. */
  bytes: number;
  /** All of what it was to send. */
  all: boolean;
}

/** What changes of a document. */
export type ShareUse = Pick<ShareDocument, 'downloads' | 'held' | 'lost' | 'promised' | 'takers'>;

export const NO_USE: ShareUse = { downloads: 0, held: 0, lost: 0, promised: 0, takers: [] };

/** True while the link has a download left, which may be held by an answer that is being sent. */
export function hasDownloadLeft({ maxDownloads, downloads }: ShareDocument): boolean {
  return maxDownloads === null || downloads < maxDownloads;
}

/** What may be answered; null when nothing is left that no other answer holds. */
export function admittedKind(document: ShareDocument, wanted: DownloadRequest): Kind | null {
  const { maxDownloads, downloads, held } = document;
  const all = isWholeFile(document, wanted.extents);
  if (maxDownloads === null) return all ? 'whole' : 'part';
  if (!hasDownloadLeft(document)) return null;
  const free = downloads + held < maxDownloads;
  const forgiven = wanted.ranged && costOf(wanted.extents) <= allowanceLeft(document);
  if (all) return free ? 'whole' : forgiven ? 'part' : null;
  return forgiven ? 'part' : free ? 'whole' : null;
}

/** With what was let through held back from others until it was sent. */
export function withReservation(
  { held, promised }: ShareDocument,
  kind: Kind,
  wanted: DownloadRequest,
): Pick<ShareUse, 'held' | 'promised'> {
  return kind === 'whole' ? { held: held + 1, promised } : { held, promised: promised + costOf(wanted.extents) };
}

/** After an answer. */
export function withResult(document: ShareDocument, sent: DownloadResult): ShareUse {
  const { kind, wanted, bytes, all } = sent;
  const { takers, lost, downloads } = document;
  const held = kind === 'whole' ? document.held - 1 : document.held;
  const promised = kind === 'part' ? document.promised - costOf(wanted.extents) : document.promised;
  if (kind === 'whole' && all) {
    return { downloads: downloads + 1, held, promised, lost, takers: takers.filter(({ by }) => by !== wanted.by) };
  }
  const extents = kind === 'whole' ? [{ start: 0, end: document.size - 1 }] : wanted.extents;
  const cost = bytes === 0 ? 0 : Math.max(bytes, MIN_COST);
  const counted = counting(document, { ...wanted, extents }, bytes, all);
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

/** After a crash: what was being sent is taken for broken off, and nobody knows how far it came. */
export function afterCrash(document: ShareDocument): ShareUse {
  const { takers, promised, size, downloads, held } = document;
  const lost = document.lost + promised;
  const left = allowanceLeft({ ...document, promised: 0, lost });
  // In one step: a number that the disk damaged may be anything.
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

/** True when it is the whole file that is asked for, by a Range or without. */
export function isWholeFile({ size }: ShareDocument, extents: readonly Extent[]): boolean {
  const [extent] = extents;
  return size === 0 || (extents.length === 1 && extent?.start === 0 && extent.end === size - 1);
}

/** What the parts of a network come to with this one; they are forgotten once they are the whole file. */
function counting(
  { takers, size }: ShareDocument,
  { by, extents }: Pick<DownloadRequest, 'by' | 'extents'>,
  bytes: number,
  all: boolean,
): { whole: boolean; takers: NetworkParts[] } {
  const others = takers.filter((taker) => taker.by !== by);
  const before = takers.find((taker) => taker.by === by)?.runs ?? [];
  // Of an answer that broke off the end of the file is not believed to have arrived.
  const [first] = extents;
  const went = all || !first ? extents : [{ start: first.start, end: Math.min(first.start + bytes - 1, size - 2) }];
  const runs = merged([...before, ...went.map(({ start, end }): [number, number] => [start, end])]);
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
