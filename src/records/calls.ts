/** Documents of calls with codes, as they are stored. */

/** Proof that the holder of a credential also controls the owner's phone. `until` is on the time line (`Clock.steady`). */
export interface Proof {
  /** Key of the client or person. */
  holder: string;
  /** Id of the sign-in, access token or API token. */
  credential: string;
  until: number;
}

/** A code that is spoken in a telephone call. All times are moments of the time line of the server: see `Clock.steady`. */
export interface CallDocument {
  id: string;
  /** Key of the client or person that requested it. */
  caller: string;
  /** E.164. */
  phone: string;
  /** The code, sealed; null once it is no longer valid. */
  sealed: string | null;
  message: string | null;
  state: 'pending' | 'verified' | 'failed' | 'replaced' | 'expired';
  tries: number;
  /** When each of its calls was requested. */
  spokenAt: number[];
  speech: 'queued' | 'calling' | 'spoken' | 'failed';
  createdAt: number;
  expiresAt: number;
  /** The proof that its verification creates; null: none. */
  proof: Proof | null;
}
