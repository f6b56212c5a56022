/** Seals uploads of undeclared size that received nothing for a configured time (PROTOCOL §3). */
import type { Clock } from '../../contracts/clock.ts';
import type { Sealer } from './seal.ts';
import type { OpenUpload } from './upload.ts';

/** Maximum delay of `setTimeout`. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export interface AutoSealDeps {
  clock: Clock;
  sealer: Sealer;
  /** Milliseconds of silence after which an upload of undeclared size is sealed. */
  openEndedMs: number;
  isStopping(): boolean;
  /** Writes to the log. */
  warn(message: string, details: object): void;
}

/** True if silence seals the upload: its size is undeclared, and its bytes have no gap and are not known to differ from its digest. */
export function isSealedBySilence(upload: OpenUpload): boolean {
  const { bytes, end } = upload.stored;
  return (
    upload.size === null && !upload.document.resource && bytes > 0 && bytes === end && upload.digestMismatchAt !== end
  );
}

export class AutoSeal {
  readonly #deps: AutoSealDeps;

  constructor(deps: AutoSealDeps) {
    this.#deps = deps;
  }

  /** Restarts the timer of an upload that silence seals. To be called after every request. */
  sealLater(upload: OpenUpload): void {
    const { clock, isStopping, openEndedMs } = this.#deps;
    if (upload.openEndedTimer) clearTimeout(upload.openEndedTimer);
    upload.openEndedTimer = null;
    if (isStopping() || upload.isSealed || upload.endReason || !isSealedBySilence(upload)) return;
    const remainingMs = Math.max(0, openEndedMs - clock.since(upload.lastCommitAt));
    upload.openEndedTimer = setTimeout(
      () => this.#sealAfterSilence(upload),
      Math.min(remainingMs, MAX_TIMER_MS),
    ).unref();
  }

  #sealAfterSilence(upload: OpenUpload): void {
    const { clock, openEndedMs, sealer, warn } = this.#deps;
    // The end of the running request restarts the timer.
    if (upload.users > 0 || upload.endReason || upload.isSealed) return;
    if (clock.since(upload.lastCommitAt) < openEndedMs) {
      this.sealLater(upload);
      return;
    }
    sealer.seal(upload, true).catch((error: unknown) => {
      if (upload.digestMismatchAt >= 0) return;
      warn('an upload of undeclared size could not be sealed; the sweep tries again', { id: upload.id, error });
    });
  }
}
