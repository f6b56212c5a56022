/** Limits and usage of clients and people. */
import { useState } from 'preact/hooks';
import type { QuotaKind } from '../../client/calls/quotas.ts';
import type { NewQuota, QuotaReport } from '../../protocol/schemas/quota.ts';
import { messageOf, size } from '../format.ts';
import type { PageProps } from '../page.ts';
import { ErrorMessage, Section } from '../parts.tsx';
import { collectAll, useLive } from '../use-live.ts';

const GIB = 1024 ** 3;

export function QuotasTab(props: PageProps) {
  const { client } = props.session;
  const [chosen, setChosen] = useState<{ kind: QuotaKind; id: string } | null>(null);
  const [error, setError] = useState<string | null>(null);
  const owners = useLive(props, {
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
  const set = async (request: NewQuota) => {
    if (chosen === null) return;
    const name = owners.value?.find(({ value }) => value === `${chosen.kind} ${chosen.id}`)?.title ?? chosen.id;
    if (!confirm(questionOf(name, request))) return;
    setError(null);
    try {
      await client.quotas.set(chosen.kind, chosen.id, request);
      quota.refresh();
    } catch (problem) {
      setError(messageOf(problem));
    }
  };
  return (
    <Section title="Quotas">
      <ErrorMessage>{error ?? quota.error ?? owners.error}</ErrorMessage>
      <label>
        Client or person
        <select
          onChange={(event) => {
            const [kind, id] = event.currentTarget.value.split(' ');
            setChosen(id === undefined ? null : { kind: kind as QuotaKind, id });
          }}
        >
          <option value="">Select a client or person</option>
          {(owners.value ?? []).map(({ value, title }) => (
            <option key={value} value={value}>
              {title}
            </option>
          ))}
        </select>
      </label>
      {quota.value !== null && <Report report={quota.value} onSet={(request) => void set(request)} />}
    </Section>
  );
}

function Report({ report: { used, limits }, onSet }: { report: QuotaReport; onSet(request: NewQuota): void }) {
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const data = new FormData(event.currentTarget as HTMLFormElement);
    const number = (name: string, unit = 1) => {
      const text = String(data.get(name) ?? '').trim();
      return text === '' ? null : Math.round(Number(text) * unit);
    };
    onSet({ bytes: number('bytes', GIB), open_uploads: number('open'), day_bytes: number('day', GIB) });
  };
  const limit = (value: number | null, format: (value: number) => string) =>
    value === null ? 'unlimited' : format(value);
  return (
    <>
      <dl class="facts">
        <dt>Stored</dt>
        <dd>{`${size(used.bytes)} of ${limit(limits.bytes, size)}`}</dd>
        <dt>Unfinished uploads</dt>
        <dd>{`${used.open_uploads} of ${limit(limits.open_uploads, String)}`}</dd>
        <dt>Uploaded today (UTC)</dt>
        <dd>{`${size(used.day_bytes)} of ${limit(limits.day_bytes, size)}`}</dd>
      </dl>
      <form class="inline" onSubmit={submit}>
        <label>
          GiB stored
          <input name="bytes" type="number" min={0} step="any" placeholder="server default" />
        </label>
        <label>
          Unfinished uploads
          <input name="open" type="number" min={0} placeholder="server default" />
        </label>
        <label>
          GiB per day
          <input name="day" type="number" min={0} step="any" placeholder="server default" />
        </label>
        <button class="main" type="submit">
          Set limits
        </button>
      </form>
      <p class="quiet">0 means unlimited. An empty field means the server default.</p>
    </>
  );
}

/** Describes the new limits for confirmation. */
function questionOf(name: string, { bytes, open_uploads: open, day_bytes: day }: NewQuota): string {
  const limit = (value: number | null | undefined, as: (value: number) => string) =>
    value === null || value === undefined ? 'server default' : value === 0 ? 'unlimited' : as(value);
  return (
    `Set the limits of ${name}? Stored: ${limit(bytes, size)}. ` +
    `Unfinished uploads: ${limit(open, String)}. Per day: ${limit(day, size)}.`
  );
}
