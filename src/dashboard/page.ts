/** What a page of the dashboard is given, and where in it the address leads. */

import type { SignedIn } from './session.ts';
import type { Task, Transfers } from './transfers.ts';

export interface PageProps {
  who: SignedIn;
  /** What this page moves, whichever of its pages is shown. */
  transfers: Transfers;
  tasks: Task[];
  /** The sign-in is no longer good. */
  onEnded(why: string): void;
}

/** One of the parts of `#/{first}/{second}`, counted from 0. */
export function partOf(hash: string, index: number): string {
  return hash.replace(/^#\//, '').split('/')[index] ?? '';
}
