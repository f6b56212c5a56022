/** The pages of the dashboard, in the order of its menu; the address of each is `#/{path}`. */
import type { ComponentType } from 'preact';
import { FilesPage } from './files.tsx';
import type { SignedIn } from './session.ts';

export interface PageProps {
  who: SignedIn;
  /** The sign-in is no longer good. */
  onEnded(why: string): void;
}

interface PageEntry {
  path: string;
  title: string;
  Page: ComponentType<PageProps>;
  /** Whether whoever is signed in may do anything there; the server refuses the rest anyway. */
  allowed(who: SignedIn): boolean;
}

export const PAGES: [PageEntry, ...PageEntry[]] = [
  { path: 'files', title: 'Files', Page: FilesPage, allowed: () => true },
];

/** The first part of `#/{path}/…`. */
export function hereOf(hash: string): string {
  return /^#\/([^/]*)/.exec(hash)?.[1] ?? '';
}
