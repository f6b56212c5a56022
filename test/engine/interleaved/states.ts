/**
 * The model of one name: the complete file, the unfinished upload, and what each request may make of them. Contents are cells of equal
 * size; a cell holds the number of the version that it belongs to, or 0 for a gap.
 */

export type Cells = readonly number[];

export interface State {
  file: Cells | null;
  upload: Cells | null;
}

export const NOTHING: State = { file: null, upload: null };

/** One change that happens at one moment. Gives the states that it may lead to; none when it cannot happen in this state. */
export type Effect = (state: State) => State[];

export interface Chunk {
  version: number;
  /** Cells of the whole file, as declared. */
  size: number;
  first: number;
  count: number;
  overwrite: boolean;
}

/** A complete upload becomes the file of its name. */
export function sealed(state: State): State {
  return state.upload && !state.upload.includes(0) ? { file: state.upload, upload: null } : state;
}

/**
 * An acknowledged chunk.
 * @param mayReplace it, or a chunk that was sent at the same time, begins a replacement
 * @param mayStayOpen the seal of a complete upload may have failed
 */
export function chunkEffect(chunk: Chunk, mayReplace: boolean, mayStayOpen: boolean): Effect {
  return (state) => {
    const { file, upload } = state;
    const next: State[] = [];
    if (upload) {
      const joined = joinedCells(upload, chunk);
      if (joined) next.push({ file, upload: joined });
    } else {
      if (file && file.length === chunk.size && holds(file, chunk)) next.push(state);
      const empty = new Array<number>(chunk.size).fill(0);
      if (!file || mayReplace) next.push({ file, upload: joinedCells(empty, chunk) });
    }
    return next.flatMap((one) => (mayStayOpen ? [one, sealed(one)] : [sealed(one)]));
  };
}

/**
 * A chunk whose request failed, or never got an answer: each of its cells may be stored, also when its declaration is not. The upload then
 * has the size that another chunk declares.
 */
export function unansweredChunk(chunk: Chunk, mayReplace: boolean): Effect {
  return (state) => {
    const next: State[] = [state];
    for (let choice = 1; choice < 1 << chunk.count; choice += 1) {
      const base = state.upload ?? (state.file && !mayReplace ? null : new Array<number>(chunk.size).fill(0));
      if (!base || base.length < chunk.first + chunk.count) continue;
      const cells = [...base];
      for (let at = 0; at < chunk.count; at += 1)
        if (choice & (1 << at) && cells[chunk.first + at] === 0) cells[chunk.first + at] = chunk.version;
      next.push({ ...state, upload: cells }, sealed({ ...state, upload: cells }));
    }
    return next;
  };
}

/** A whole file takes the name; the unfinished upload ends with it. */
export function fileEffect(version: number, size: number): Effect {
  return () => [{ file: new Array<number>(size).fill(version), upload: null }];
}

export const uploadEnds: Effect = ({ file }) => [{ file, upload: null }];
export const fileEnds: Effect = ({ upload }) => [{ file: null, upload }];

/** The change happens, or it does not. */
export function perhaps(effect: Effect): Effect {
  return (state) => [state, ...effect(state)];
}

/** Durability `seal`: a loss of power takes any cells of an unfinished upload. */
export function withoutUnsynced(state: State): State[] {
  const { upload } = state;
  if (!upload) return [state];
  const states: State[] = [];
  for (let choice = 0; choice < 1 << upload.length; choice += 1)
    states.push({ ...state, upload: upload.map((cell, at) => (choice & (1 << at) ? cell : 0)) });
  return states;
}

/** The upload with the chunk; null when the chunk does not fit. */
function joinedCells(upload: Cells, { version, size, first, count }: Chunk): Cells | null {
  if (upload.length !== size) return null;
  const cells = [...upload];
  for (let at = first; at < first + count; at += 1) {
    if (cells[at] !== 0 && cells[at] !== version) return null;
    cells[at] = version;
  }
  return cells;
}

function holds(file: Cells, { version, first, count }: Chunk): boolean {
  return file.slice(first, first + count).every((cell) => cell === version);
}
