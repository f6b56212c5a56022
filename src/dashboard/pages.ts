/** The pages of the dashboard, in the order of the menu. The address of each is `#/{path}`. */
import type { ComponentType } from 'preact';
import { AdminPage } from './admin/admin.tsx';
import { FilesPage } from './files/page.tsx';
import { LivePage } from './live/live.tsx';
import type { PageProps } from './page.ts';
import type { Session } from './session.ts';
import { TokensPage } from './tokens/tokens.tsx';

interface PageEntry {
  path: string;
  title: string;
  Page: ComponentType<PageProps>;
  /** Whether the principal has rights on this page. The server checks every request anyway. */
  allowed(session: Session): boolean;
}

export const PAGES: [PageEntry, ...PageEntry[]] = [
  {
    path: 'files',
    title: 'Files',
    Page: FilesPage,
    allowed: (session) => session.rights.scopes.includes('files:read'),
  },
  {
    path: 'transfers',
    title: 'Transfers',
    Page: LivePage,
    allowed: (session) => session.rights.scopes.includes('files:read'),
  },
  {
    path: 'tokens',
    title: 'Tokens',
    Page: TokensPage,
    allowed: (session) => session.rights.kind !== 'token' || session.rights.scopes.includes('tokens:admin'),
  },
  { path: 'admin', title: 'Administration', Page: AdminPage, allowed: (session) => session.atLeast('admin') },
];
