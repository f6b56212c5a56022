/** How much a client or a person may store and upload. */
import { useState } from 'preact/hooks';
import type { QuotaKind } from '../../client/calls/quotas.ts';
import type { NewQuota } from '../../protocol/schemas/quota.ts';
import { messageOf, size } from '../format.ts';
import type { PageProps } from '../page.ts';
import { ErrorMessage, Section } from '../parts.tsx';
import { collectAll, useLive } from '../use-live.ts';

const GIB = 1024 ** 3;

export function QuotasTab(props: PageProps) {
  const { client } = props.who;
  const [chosen, setChosen] = useState<{ kind: QuotaKind; id: string } | null>(null);
  const [error, setError] = useState<string | null>(null);
  const holders = useLive(props, {
    load: async (signal) => {
      const clients = await client.clients.list({ signal });
      const people = await collectAll(client.users.list({ signal }));
      return [
        ...clients.map(({ client_id: id, name }) => ({ value: `client ${id}`, title: name ?? id })),
        ...people.map(({ id, email, username }) => ({ value: `person ${id}`, title: email ?? username ?? id })),
      ];
    },
    types: ['admin.changed'],
  });
  const quota = useLive(props, {
    load: async (signal) => (chosen === null ? null : await client.quotas.get(chosen.kind, chosen.id, { signal })),
    types: ['admin.changed', 'file.completed', 'file.deleted', 'upload.cancelled'],
    key: chosen === null ? '' : `${chosen.kind} ${chosen.id}`,
  });
  const set = async (event: SubmitEvent) => {
    event.preventDefault();
    if (chosen === null) return;
    const data = new FormData(event.currentTarget as HTMLFormElement);
    const number = (name: string, unit = 1) => {
      const text = String(data.get(name) ?? '').trim();
      return text === '' ? null : Math.round(Number(text) * unit);
    };
    const wish = { bytes: number('bytes', GIB), open_uploads: number('open'), day_bytes: number('day', GIB) };
    const whose = holders.value?.find(({ value }) => value === `${chosen.kind} ${chosen.id}`)?.title ?? chosen.id;
    if (!confirm(questionOf(whose, wish))) return;
    setError(null);
    try {
      await client.quotas.set(chosen.kind, chosen.id, wish);
      quota.refresh();
    } catch (problem) {
      setError(messageOf(problem));
    }
  };
  const { used, limits } = quota.value ?? {};
  const shown = (limit: number | null | undefined, as: (value: number) => string) =>
    limit === null || limit === undefined ? 'any' : as(limit);
  return (
    <Section title="Quotas">
      <ErrorMessage>{error ?? quota.error ?? holders.error}</ErrorMessage>
      <label>
        Whose
        <select
          onChange={(event) => {
            const [kind, id] = event.currentTarget.value.split(' ');
            setChosen(id === undefined ? null : { kind: kind as QuotaKind, id });
          }}
        >
          <option value="">Choose a client or a person</option>
          {(holders.value ?? []).map(({ value, title }) => (
            <option key={value} value={value}>
              {title}
            </option>
          ))}
        </select>
      </label>
      {used && limits && (
        <>
          <dl class="facts">
            <dt>Stored</dt>
            <dd>{`${size(used.bytes)} of ${shown(limits.bytes, size)}`}</dd>
            <dt>Unfinished uploads</dt>
            <dd>{`${used.open_uploads} of ${shown(limits.open_uploads, String)}`}</dd>
            <dt>Uploaded today (UTC)</dt>
            <dd>{`${size(used.day_bytes)} of ${shown(limits.day_bytes, size)}`}</dd>
          </dl>
          <form class="inline" onSubmit={(event) => void set(event)}>
            <label>
              GiB stored
              <input name="bytes" type="number" min={0} step="any" placeholder="as the server says" />
            </label>
            <label>
              Unfinished uploads
              <input name="open" type="number" min={0} placeholder="as the server says" />
            </label>
            <label>
              GiB a day
              <input name="day" type="number" min={0} step="any" placeholder="as the server says" />
            </label>
            <button class="main" type="submit">
              Set limits
            </button>
          </form>
          <p class="quiet">0 is any amount; nothing is what the server's settings say.</p>
        </>
      )}
    </Section>
  );
}

/** Limits as they will be, in words. */
function questionOf(whose: string, { bytes, open_uploads: open, day_bytes: day }: NewQuota): string {
  const limit = (value: number | null | undefined, as: (value: number) => string) =>
    value === null || value === undefined ? 'as the server says' : value === 0 ? 'any amount' : as(value);
  return (
    `Set the limits of ${whose}? Stored: ${limit(bytes, size)}. ` +
    `Unfinished uploads: ${limit(open, String)}. A day: ${limit(day, size)}.`
  );
}
