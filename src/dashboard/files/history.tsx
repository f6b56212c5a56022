/** What was done about one file, for those who may read the audit log. */
import { time } from '../format.ts';
import type { PageProps } from '../page.ts';
import { Table, Trouble } from '../parts.tsx';
import { everyOne, useLive } from '../use-live.ts';

/** Entries of the log that are looked through, the youngest first. */
const LOOKED = 1000;

export function History({ page, name }: { page: PageProps; name: string }) {
  const { value, error } = useLive(page, {
    load: async (signal) => {
      const entries = await everyOne(page.who.client.audit({ signal, limit: LOOKED }));
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
      <Trouble>{error}</Trouble>
      <Table
        caption={`Of the newest ${LOOKED} entries of the audit log`}
        head={['When', 'What', 'Outcome', 'Who', 'More']}
        rows={rows}
        empty={value === null ? 'Loading …' : 'Nothing but its upload.'}
      />
    </section>
  );
}
