/** The administration page with its tabs. The address of a tab is `#/admin/{path}`. */
import { useEffect, useState } from 'preact/hooks';
import { type PageProps, partOf } from '../page.ts';
import { AuditTab } from './audit.tsx';
import { ClientsTab } from './clients.tsx';
import { DeliveriesTab } from './deliveries.tsx';
import { PeopleTab } from './people.tsx';
import { QuotasTab } from './quotas.tsx';
import { ServerTab } from './server.tsx';

const TABS = [
  { path: 'clients', title: 'Clients', Tab: ClientsTab },
  { path: 'people', title: 'People', Tab: PeopleTab },
  { path: 'quotas', title: 'Quotas', Tab: QuotasTab },
  { path: 'deliveries', title: 'Deliveries', Tab: DeliveriesTab },
  { path: 'audit', title: 'Audit log', Tab: AuditTab },
  { path: 'server', title: 'Server', Tab: ServerTab },
] as const;

export function AdminPage(props: PageProps) {
  const [path, setPath] = useState(partOf(location.hash, 1));
  useEffect(() => {
    const follow = () => setPath(partOf(location.hash, 1));
    addEventListener('hashchange', follow);
    return () => removeEventListener('hashchange', follow);
  }, []);
  const { Tab, path: here } = TABS.find((tab) => tab.path === path) ?? TABS[0];
  return (
    <main>
      <nav class="tabs" aria-label="Administration">
        {TABS.map((tab) => (
          <a key={tab.path} href={`#/admin/${tab.path}`} aria-current={tab.path === here ? 'page' : undefined}>
            {tab.title}
          </a>
        ))}
      </nav>
      <Tab {...props} />
    </main>
  );
}
