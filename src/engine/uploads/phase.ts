/**
 * The phase of an upload, and the only place that changes it.
 *
 *     creating ── first document ──► open ◄── no byte for long, next byte ──► parked       it rests
 *         │                           │                                         │
 *         └─────────────┬─────────────┴──────────────────┬──────────────────────┘
 *                       ▼                                ▼
 *                    sealing                   replacing, reverting                        an operation decides
 *                       │   └──────────┐                 │                                 (fails: the phase before)
 *                       ▼              ▼                 ▼
 *                    sealed        discarded ◄───────────┘                                 it has ended
 *
 * Every phase but `sealed` can end in `discarded`. `NEXT` has all transitions but the return of a failed operation to the phase before it.
 * Any other transition throws.
 *
 * An operation may fail, so the resting phase stays below it: a parked upload that is being sealed is still parked, and does not count as
 * open. So the first document, parking and resuming can change the resting phase while an operation runs.
 */
import type { LadingError } from '../../errors.ts';

/** The phases in which an upload waits for bytes: it rests. */
export type RestingPhase = 'creating' | 'open' | 'parked';
/**
 * The phases that an operation or an end puts on top. `replacing`: another file takes its name. `reverting`: a continuation is reverted to
 * the previous complete file.
 */
type UpperPhase = 'sealing' | 'replacing' | 'reverting' | 'sealed' | 'discarded';
export type Phase = RestingPhase | UpperPhase;

/** The allowed transitions. A failed operation also returns to the phase before it. */
export const NEXT: Readonly<Record<Phase, readonly Phase[]>> = {
  creating: ['open', 'sealing', 'discarded'],
  open: ['parked', 'sealing', 'replacing', 'reverting', 'discarded'],
  parked: ['open', 'sealing', 'replacing', 'reverting', 'discarded'],
  sealing: ['sealed', 'replacing', 'reverting', 'discarded'],
  replacing: ['discarded'],
  reverting: ['discarded'],
  sealed: [],
  discarded: [],
};

/** In these phases no byte can be added. */
const CLOSED: ReadonlySet<UpperPhase> = new Set(['sealing', 'replacing', 'sealed']);

export class UploadPhase {
  #resting: RestingPhase;
  /** The phases on top of the resting one, the current one last. Empty while the upload rests. */
  readonly #upper: UpperPhase[] = [];
  #endReason: LadingError | null = null;
  #wasDocumentWritten = false;
  #sealing: Promise<void> | null = null;
  #replacing: Promise<void> | null = null;
  #reverting: Promise<void> | null = null;

  constructor(resting: RestingPhase) {
    this.#resting = resting;
  }

  get current(): Phase {
    return this.#upper.at(-1) ?? this.#resting;
  }

  /**
   * It has a document, so other requests see it. A write that was under way when the upload was discarded still makes it visible: then its
   * document has to be removed.
   */
  get isVisible(): boolean {
    return this.#resting !== 'creating' || this.current === 'sealed';
  }

  /** No byte can be added: it is sealed or being sealed, or another file takes its name. */
  get isClosed(): boolean {
    return this.#upper.some((phase) => CLOSED.has(phase));
  }

  /** The sealed document is on the disk. */
  get isSealed(): boolean {
    return this.current === 'sealed';
  }

  /** It received nothing for a long time and does not count as open, whatever runs on it or ended it. */
  get isParked(): boolean {
    return this.#resting === 'parked';
  }

  /** It was discarded, and counts nowhere any more. */
  get isDiscarded(): boolean {
    return this.current === 'discarded';
  }

  /** The error for requests that still run; null unless the upload was discarded or is being reverted. */
  get endReason(): LadingError | null {
    return this.#endReason;
  }

  /**
   * Its document may be on the disk, although a write of it failed. No phase tells this: the upload of a failed write is still being
   * created.
   */
  get mayHaveDocument(): boolean {
    return this.isVisible || this.#wasDocumentWritten;
  }

  /** The running seal, so that two last chunks share it. It may still wait for another file to take the name. */
  get sealing(): Promise<void> | null {
    return this.#sealing;
  }

  /** Resolves once the other file has taken the name, or failed to. */
  get replacing(): Promise<void> | null {
    return this.#replacing;
  }

  /** The running revert. No file may take the name meanwhile. */
  get reverting(): Promise<void> | null {
    return this.#reverting;
  }

  /** Waits until no operation runs that decides its end: a seal, a file that takes its name, a revert. */
  async undecided(): Promise<void> {
    const deciding = (): Promise<void> | null => this.#sealing ?? this.#replacing ?? this.#reverting;
    for (let one = deciding(); one; one = deciding()) await one.catch(() => {});
  }

  /** To be called before a write of its document that may fail. */
  beginDocument(): void {
    this.#wasDocumentWritten = true;
  }

  /** Its document is on the disk. */
  becomeVisible(): void {
    if (this.#resting === 'creating') this.#rest('open');
  }

  park(): void {
    this.#assertNotEnded('parked');
    this.#rest('parked');
  }

  resume(): void {
    if (this.#resting !== 'parked' || this.isDiscarded) throw forbidden(this.current, 'open');
    this.#rest('open');
  }

  /** Runs a seal, or joins the one that runs. `work` calls `beginSeal`, then `becomeSealed` or `sealFailed`. */
  seal(work: () => Promise<void>): Promise<void> {
    this.#sealing ??= work().finally(() => {
      this.#sealing = null;
    });
    return this.#sealing;
  }

  beginSeal(): void {
    this.#enter('sealing');
  }

  /** Opens the upload again, unless it has ended. */
  sealFailed(): void {
    this.#leave('sealing');
  }

  becomeSealed(): void {
    this.#enter('sealed');
  }

  /** Another file takes its name. @param done resolves when that has succeeded or failed */
  beginReplacement(done: Promise<void>): void {
    this.#enter('replacing');
    this.#replacing = done;
  }

  /** The other file has its name and the upload was discarded, or the other file failed and the upload continues. */
  endReplacement(): void {
    this.#replacing = null;
    if (!this.isDiscarded) this.#leave('replacing');
  }

  /** Runs `work`, which restores the previous complete file and then discards the upload. The upload continues if it rejects. */
  revert(reason: LadingError, work: () => Promise<void>): Promise<void> {
    this.#enter('reverting');
    this.#endReason = reason;
    const failed = (error: unknown): never => {
      this.#leave('reverting');
      this.#endReason = null;
      throw error;
    };
    this.#reverting = work()
      .catch(failed)
      .finally(() => {
        this.#reverting = null;
      });
    return this.#reverting;
  }

  /** Requests that still send to it fail with `reason`. */
  discard(reason: LadingError): void {
    this.#enter('discarded');
    this.#endReason = reason;
  }

  #rest(to: RestingPhase): void {
    assertAllowed(this.#resting, to);
    this.#resting = to;
  }

  #enter(to: UpperPhase): void {
    assertAllowed(this.current, to);
    this.#upper.push(to);
  }

  /** An operation failed. Another one on top of it continues. */
  #leave(phase: UpperPhase): void {
    const at = this.#upper.lastIndexOf(phase);
    if (at < 0) throw forbidden(this.current, this.#resting);
    this.#upper.splice(at, 1);
  }

  #assertNotEnded(to: Phase): void {
    if (NEXT[this.current].length === 0) throw forbidden(this.current, to);
  }
}

function assertAllowed(from: Phase, to: Phase): void {
  if (!NEXT[from].includes(to)) throw forbidden(from, to);
}

function forbidden(from: Phase, to: Phase): Error {
  return new Error(`an upload cannot go from ${from} to ${to}`);
}
