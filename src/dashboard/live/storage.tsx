/** Storage and quotas by owner. */
import { size } from '../format.ts';
import type { PageProps } from '../page.ts';
import { ErrorMessage, Section, Table } from '../parts.tsx';
import { collectAll, useLive } from '../use-live.ts';

/** Storage of the principal; for administrators, of all clients and people. */
export function Storage(props: PageProps) {
  const { client, rights } = props.session;
  const all = props.session.atLeast('admin');
  const { value, error } = useLive(props, {
    load: async (signal) => {
      if (!all) return [{ name: rights.client_id, quota: await client.quotas.own({ signal }) }];
      const clients = await client.clients.list({ signal });
      const people = await collectAll(client.users.list({ signal }));
      const owners = [
        ...clients.map(({ client_id: id, name }) => ({ kind: 'client' as const, id, name: name ?? id })),
        ...people.map(({ id, email, username }) => ({ kind: 'person' as const, id, name: email ?? username ?? id })),
      ].slice(0, 100);
      return await Promise.all(
        owners.map(async ({ kind, id, name }) => ({ name, quota: await client.quotas.get(kind, id, { signal }) })),
      );
    },
    types: ['file.completed', 'file.deleted', ...(all ? (['admin.changed'] as const) : [])],
    everyMs: 30_000,
  });
  const rows = (value ?? [])
    .sort((a, b) => b.quota.used.bytes - a.quota.used.bytes)
    .map(({ name, quota: { used, limits } }) => ({
      key: name,
      cells: [
        <span class="name">{name}</span>,
        limits.bytes === null ? (
          size(used.bytes)
        ) : (
          <span>
            <meter min={0} max={limits.bytes} value={used.bytes} aria-label={`Storage of ${name}`} />
            {` ${size(used.bytes)} of ${size(limits.bytes)}`}
          </span>
        ),
        limits.open_uploads === null ? used.open_uploads : `${used.open_uploads} of ${limits.open_uploads}`,
        limits.day_bytes === null ? size(used.day_bytes) : `${size(used.day_bytes)} of ${size(limits.day_bytes)}`,
      ],
    }));
  return (
    <Section title="Storage">
      <ErrorMessage>{error}</ErrorMessage>
      <Table
        caption="Storage and quota by owner"
        head={['Owner', 'Stored', 'Unfinished uploads', 'Uploaded today (UTC)']}
        rows={rows}
        empty={value === null ? 'Loading …' : 'Nothing is stored.'}
      />
    </Section>
  );
}
