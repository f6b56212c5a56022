/**
 * The phase of an upload, and the only code that changes it.
 *
 *     creating ── first document ──► open ◄── no byte for long, next byte ──► parked       resting phases
 *         │                           │                                         │
 *         └─────────────┬─────────────┴──────────────────┬──────────────────────┘
 *                       ▼                                ▼
 *                    sealing                   replacing, reverting                        operations
 *                       │   └──────────┐                 │                                 (on failure: the previous phase)
 *                       ▼              ▼                 ▼
 *                    sealed        discarded ◄───────────┘                                 ended
 *
 * Every phase but `sealed` can end in `discarded`. `NEXT` lists all transitions, except that a failed operation returns to the previous
 * phase. Any other transition throws.
 *
 * An operation may fail, so the upload keeps its resting phase beneath it: a parked upload that is being sealed is still parked and does
 * not count as open. The resting phase may therefore change while an operation runs.
 */
import type { LadingError } from '../../errors.ts';

/** The resting phases, in which an upload waits for bytes. */
export type RestingPhase = 'creating' | 'open' | 'parked';
/**
 * The phases of operations and ends, stacked on the resting phase. `replacing`: another file takes its name. `reverting`: a continuation is
 * reverted to the previous complete file.
 */
type UpperPhase = 'sealing' | 'replacing' | 'reverting' | 'sealed' | 'discarded';
export type Phase = RestingPhase | UpperPhase;

/** The allowed transitions. In addition, a failed operation returns to the previous phase. */
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
  /** The stack of phases above the resting one; the last is current. Empty while the upload rests. */
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
   * True once it has a document, so that other requests see it. A write that was in progress when the upload was discarded still makes it
   * visible, because its document must then be removed.
   */
  get isVisible(): boolean {
    return this.#resting !== 'creating' || this.current === 'sealed';
  }

  /** True when no byte can be added: it is sealed or being sealed, or another file is taking its name. */
  get isClosed(): boolean {
    return this.#upper.some((phase) => CLOSED.has(phase));
  }

  /** True once the sealed document is on the disk. */
  get isSealed(): boolean {
    return this.current === 'sealed';
  }

  /** True if it received nothing for a long time and does not count as open, whatever its current phase. */
  get isParked(): boolean {
    return this.#resting === 'parked';
  }

  /** True once it was discarded and no longer counts toward any limit. */
  get isDiscarded(): boolean {
    return this.current === 'discarded';
  }

  /** The error for requests that still run; null unless the upload was discarded or is being reverted. */
  get endReason(): LadingError | null {
    return this.#endReason;
  }

  /**
   * True if its document may be on the disk, even if the write reported a failure. The phase cannot tell: after a failed write the upload
   * is still in `creating`.
   */
  get mayHaveDocument(): boolean {
    return this.isVisible || this.#wasDocumentWritten;
  }

  /** The running seal, which concurrent callers share. It may still be waiting for another file to take the name. */
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

  /** Waits for operations that may end the upload: a seal, a replacement, a revert. */
  async undecided(): Promise<void> {
    const deciding = (): Promise<void> | null => this.#sealing ?? this.#replacing ?? this.#reverting;
    for (let one = deciding(); one; one = deciding()) await one.catch(() => {});
  }

  /** To be called before a write of its document that may fail. */
  beginDocument(): void {
    this.#wasDocumentWritten = true;
  }

  /** To be called when its document is on the disk. */
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

  /** Closes the upload while another file takes its name. @param done resolves when that has succeeded or failed */
  beginReplacement(done: Promise<void>): void {
    this.#enter('replacing');
    this.#replacing = done;
  }

  /** Ends the replacement. The upload has been discarded, or it continues because the other file failed. */
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

  /** Discards the upload. Requests that still send to it fail with `reason`. */
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

  /** Removes a failed operation from the stack. Operations above it continue. */
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
