/** Properties of a page of the dashboard, and parts of its address. */

import type { Session } from './session.ts';
import type { Task, Transfers } from './transfers.ts';

/** What every page receives. */
export interface PageProps {
  session: Session;
  /** The transfers of this browser tab, independent of the page that is shown. */
  transfers: Transfers;
  tasks: Task[];
  /** Called when the session is no longer valid. */
  onEnded(reason: string): void;
}

/** The part of `#/{first}/{second}` with this index, from 0. */
export function partOf(hash: string, index: number): string {
  return hash.replace(/^#\//, '').split('/')[index] ?? '';
}
