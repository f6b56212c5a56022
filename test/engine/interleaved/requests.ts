/** The requests of a story, and what each of them may have done to its name. */
import type { Request } from './orders.ts';
import {
  type Chunk,
  chunkEffect,
  type Effect,
  fileEffect,
  fileEnds,
  perhaps,
  unansweredChunk,
  uploadEnds,
} from './states.ts';
import type { Damage } from './world.ts';

export const NAMES = ['a', 'b'] as const;
export type Name = (typeof NAMES)[number];

export type Step =
  | { kind: 'chunk'; name: Name; chunk: Chunk; damage: Damage }
  | { kind: 'file'; name: Name; version: number; size: number; newest: boolean }
  | { kind: 'remove' | 'cancel'; name: Name }
  | { kind: 'read'; name: Name }
  | { kind: 'sweep' }
  | { kind: 'silence' }
  | { kind: 'settle' }
  | { kind: 'restart' }
  | { kind: 'crash'; seed: number | null }
  | { kind: 'fault'; after: number };

/** What a request that met a failing operation may answer. */
export const FAULTS: ReadonlySet<string | null> = new Set(['insufficient_storage', 'internal']);

export interface Running extends Omit<Request, 'effects'> {
  name: Name;
  step: Step;
  code: string | null;
  over: Promise<void>;
}

/** It never got an answer, or one that leaves open what happened. */
function isUnanswered({ ended, code }: Running): boolean {
  return ended === null || FAULTS.has(code);
}

/** Another request for the name began a replacement while this one ran. Chunks without `overwrite` belong to it, too. */
function mayReplace(request: Running, all: readonly Running[]): boolean {
  return all.some(({ step, began, ended }) => {
    const atOnce = began < (request.ended ?? Infinity) && request.began < (ended ?? Infinity);
    return atOnce && (step.kind === 'file' || (step.kind === 'chunk' && step.chunk.overwrite));
  });
}

function effectsOf(request: Running, all: readonly Running[], faulty: boolean): Effect[] {
  const { step, code } = request;
  const unanswered = isUnanswered(request);
  if (step.kind === 'chunk') {
    const { chunk, damage } = step;
    // What ended its upload may itself have been undone.
    const ended = code === 'not_found' && all.some(isUnanswered);
    if (unanswered || ended) return damage === 'none' ? [unansweredChunk(chunk, mayReplace(request, all))] : [];
    if (code !== null) return [];
    return damage === 'none' ? [chunkEffect(chunk, mayReplace(request, all), faulty)] : [() => []];
  }
  if (!unanswered && code !== null) return [];
  if (step.kind === 'file') {
    const effect = fileEffect(step.version, step.size);
    // It ends an upload to which a request sends before it takes the name.
    const before = step.newest ? [perhaps(uploadEnds)] : [];
    return [...before, unanswered ? perhaps(effect) : effect];
  }
  if (step.kind === 'cancel') return [unanswered ? perhaps(uploadEnds) : uploadEnds];
  if (unanswered) return [perhaps(uploadEnds), perhaps(fileEnds), perhaps(uploadEnds)];
  // A replacement that begins while the file is deleted ends with it.
  return [uploadEnds, fileEnds, perhaps(uploadEnds)];
}

/** A request as the search for an order sees it. The effect of one that failed may come later, or never. */
export function ordered(request: Running, all: readonly Running[], faulty: boolean): Request {
  const { label, began, ended } = request;
  return { label, began, ended: isUnanswered(request) ? null : ended, effects: effectsOf(request, all, faulty) };
}

export function describe(requests: readonly Running[]): string {
  return JSON.stringify(requests.map(({ label, began, ended, code }) => ({ label, began, ended, code })));
}
