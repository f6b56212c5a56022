/** The pages of the dashboard, in the order of the menu. The address of each is `#/{path}`. */
import type { ComponentType } from 'preact';
import { AdminPage } from './admin/admin.tsx';
import { FilesPage } from './files/page.tsx';
import { LivePage } from './live/live.tsx';
import type { PageProps } from './page.ts';
import type { SignedIn } from './session.ts';
import { TokensPage } from './tokens/tokens.tsx';

interface PageEntry {
  path: string;
  title: string;
  Page: ComponentType<PageProps>;
  /** Whether the principal has rights on this page. The server checks every request anyway. */
  allowed(who: SignedIn): boolean;
}

export const PAGES: [PageEntry, ...PageEntry[]] = [
  { path: 'files', title: 'Files', Page: FilesPage, allowed: (who) => who.rights.scopes.includes('files:read') },
  { path: 'transfers', title: 'Transfers', Page: LivePage, allowed: (who) => who.rights.scopes.includes('files:read') },
  {
    path: 'tokens',
    title: 'Tokens',
    Page: TokensPage,
    allowed: (who) => who.rights.kind !== 'token' || who.rights.scopes.includes('tokens:admin'),
  },
  { path: 'admin', title: 'Administration', Page: AdminPage, allowed: (who) => who.atLeast('admin') },
];
