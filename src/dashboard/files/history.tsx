/** The audit entries of a file. For administrators. */
import { time } from '../format.ts';
import type { PageProps } from '../page.ts';
import { ErrorMessage, Table } from '../parts.tsx';
import { collectAll, useLive } from '../use-live.ts';

/** Search this many entries of the log, newest first. */
const MAX_ENTRIES = 1000;

export function History({ page, name }: { page: PageProps; name: string }) {
  const { value, error } = useLive(page, {
    load: async (signal) => {
      const entries = await collectAll(page.session.client.audit({ signal, limit: MAX_ENTRIES }));
      return entries.filter(({ target }) => target === name);
    },
    types: ['admin.changed'],
    everyMs: 15_000,
    key: name,
  });
  const rows = (value ?? []).map(({ time: when, action, principal, outcome, detail }, index) => ({
    key: `${when} ${index}`,
    cells: [time(when), action.replaceAll('_', ' '), outcome, <span class="name">{principal}</span>, detail],
  }));
  return (
    <section class="card" aria-label="History">
      <h3>History</h3>
      <ErrorMessage>{error}</ErrorMessage>
      <Table
        caption={`From the newest ${MAX_ENTRIES} entries of the audit log`}
        head={['Time', 'Action', 'Outcome', 'Principal', 'Detail']}
        rows={rows}
        empty={value === null ? 'Loading …' : 'There are no entries.'}
      />
    </section>
  );
}
