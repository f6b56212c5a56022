/** Verified calls as a second factor. A verified call counts for the credential that verified it, and for a limited time. */
import { isLongPast } from '../clock/clock.ts';
import type { Clock } from '../contracts/clock.ts';
import { LadingError } from '../errors.ts';
import type { Proof } from '../records/calls.ts';
import type { Principal } from '../records/principal.ts';
import type { Identity } from './directory/identity.ts';
import { ownerKey } from './rights/policy.ts';

/** Actions that may need a second factor. */
export const GUARDED = ['downloads', 'share'] as const;
export type Guarded = (typeof GUARDED)[number];

/** Which actions need a second factor, and which credentials have one. */
export class SecondFactor {
  readonly #identity: Identity;
  readonly #clock: Clock;
  readonly #required: ReadonlySet<Guarded>;
  readonly #hours: number;
  readonly #proofs = new Map<string, Proof & { phone: string }>();

  /** @param required actions that need a second factor */
  constructor(identity: Identity, clock: Clock, required: readonly Guarded[], hours: number) {
    this.#identity = identity;
    this.#clock = clock;
    this.#required = new Set(required);
    this.#hours = hours;
  }

  /** Restores stored proofs after a restart. */
  restore(proofs: Iterable<Proof & { phone: string }>): void {
    for (const proof of proofs) this.#proofs.set(proof.credential, proof);
  }

  /** True if the action needs a second factor. */
  requires(action: Guarded): boolean {
    return this.#required.has(action);
  }

  /**
   * The proof that a verified call to this number gives; null if the number is not the one that an administrator registered. Without
   * this rule, the thief of a token could verify a call to their own telephone.
   */
  proofFor(principal: Principal, credential: string, phone: string): Proof | null {
    if (this.#identity.phoneOf(principal) !== phone) return null;
    return { holder: keyOf(principal), credential, until: this.#clock.steady() + this.#hours * 3600_000 };
  }

  /** Remembers a proof. */
  accept(proof: Proof, phone: string): void {
    if (this.#proofs.size > 100_000) this.sweep();
    this.#proofs.set(proof.credential, { ...proof, phone });
  }

  /** Checks that the credential has a second factor if the action needs one. @throws LadingError `forbidden` */
  require(action: Guarded, principal: Principal, credential: () => string): void {
    if (!this.#required.has(action)) return;
    const phone = this.#identity.phoneOf(principal);
    const proof = this.#proofs.get(credential());
    const isProven =
      proof && proof.until > this.#clock.steady() && proof.phone === phone && proof.holder === keyOf(principal);
    if (isProven) return;
    const next =
      phone === null
        ? 'Ask an administrator to register your telephone number (PUT /api/phones).'
        : 'Request a call to your registered number with POST /calls/otp, and send its code to POST /calls/verify.';
    throw new LadingError('forbidden', `This action needs a second factor. ${next}`, { second_factor: 'call' });
  }

  /** Removes proofs that expired long ago. */
  sweep(): void {
    for (const [credential, { until }] of this.#proofs)
      if (isLongPast(this.#clock, until)) this.#proofs.delete(credential);
  }
}

function keyOf({ tenant, id }: Principal): string {
  return ownerKey(tenant, id);
}
