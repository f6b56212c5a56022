/** Every upload on its way that one may see, as it happens, and how the server does. */
import { useRef, useState } from 'preact/hooks';
import { percentOf } from '../../protocol/schemas/progress.ts';
import type { Transfer } from '../../protocol/schemas/transfer.ts';
import { keptUntil, size, time } from '../format.ts';
import type { PageProps } from '../page.ts';
import { ActionButton, Chart, ErrorMessage, Section, Table } from '../parts.tsx';
import { cancelUpload } from '../uploads.ts';
import { collectAll, useLive } from '../use-live.ts';

const CHANGES = [
  'file.created',
  'chunk.received',
  'file.completed',
  'file.deleted',
  'upload.cancelled',
  'upload.stale',
  'upload.expired',
] as const;
/** Rates are of so long. */
const RATE_MS = 5000;

interface ReceivedBytes {
  at: number;
  bytes: number;
}

export function LivePage(props: PageProps) {
  const { who } = props;
  const [error, setError] = useState<string | null>(null);
  const came = useRef(new Map<string, ReceivedBytes[]>());
  const live = useLive(props, {
    load: (signal) => who.client.transfers({ signal }),
    types: CHANGES,
    everyMs: 4000,
    onEvent: ({ type, file_id: id, chunk_bytes: bytes = 0 }) => {
      if (type !== 'chunk.received' || id === null) return;
      const list = came.current.get(id) ?? [];
      list.push({ at: performance.now(), bytes });
      came.current.set(id, list.slice(-50));
    },
  });
  const rateOf = (id: string | null): number => {
    const since = performance.now() - RATE_MS;
    const bytes = (came.current.get(id ?? '') ?? []).reduce((sum, one) => sum + (one.at >= since ? one.bytes : 0), 0);
    return (1000 * bytes) / RATE_MS;
  };
  const { transfers = [], count = 0 } = live.value ?? {};
  const row = (transfer: Transfer) => {
    const { file, owner, part, receiving } = transfer;
    const name = part ? 'Part of a file to come' : file.filename;
    return {
      key: file.id ?? name,
      cells: [
        <span class="name" title={name}>
          {name}
        </span>,
        owner,
        <Manifest transfer={transfer} />,
        file.stale ? 'parked' : receiving ? `${size(rateOf(file.id))}/s` : 'waits',
        keptUntil(file),
        part ? (
          ''
        ) : (
          <ActionButton
            kind="danger"
            label={`Cancel the upload of ${name}`}
            ask={`Cancel the upload of ${name}? What has arrived of it is removed.${file.readable ? ' The stored file is kept.' : ''}`}
            run={() => cancelUpload(props, file, owner).then(live.refresh)}
            onError={setError}
          >
            Cancel
          </ActionButton>
        ),
      ],
    };
  };
  return (
    <main>
      <ErrorMessage>{error ?? live.error}</ErrorMessage>
      {who.atLeast('ops') && <Charts {...props} />}
      <Section title="Uploads on their way">
        <Table
          caption={
            count > transfers.length
              ? `The newest ${transfers.length} of ${count}`
              : count === 1
                ? '1 upload'
                : `${count} uploads`
          }
          head={['Name', 'Whose', 'Received', 'Rate', 'Kept until', 'Actions']}
          rows={transfers.map(row)}
          empty={live.value === null ? 'Loading …' : 'Nothing is being uploaded right now.'}
        />
      </Section>
      <Storage {...props} />
    </main>
  );
}

/** What of a file is there, drawn from its manifest: dark is received, light is missing. */
function Manifest({ transfer: { file } }: { transfer: Transfer }) {
  const { total_bytes: total, bytes_received: received, missing } = file;
  const whole = total ?? received;
  const percent = percentOf(file);
  const known = percent !== null || (total === 0 && !file.undeclared);
  const label = known ? `${percent ?? 0} % of ${size(total)}` : size(received);
  return (
    <span class="manifest">
      <svg viewBox="0 0 1000 10" preserveAspectRatio="none" role="img" aria-label={`${label} received`}>
        <rect class="there" x={0} y={0} width={whole === 0 ? 0 : 1000} height={10} />
        {missing.map(([start, end]) => (
          <rect
            key={start}
            class="missing"
            x={(1000 * start) / whole}
            y={0}
            width={Math.max(1, (1000 * (end - start + 1)) / whole)}
            height={10}
          />
        ))}
      </svg>
      {label}
    </span>
  );
}

function Charts(props: PageProps) {
  const { value } = useLive(props, {
    load: (signal) => props.who.client.history({ signal }),
    types: [],
    everyMs: 10_000,
  });
  const samples = value?.samples ?? [];
  const since = samples[0]?.time ?? null;
  const milliseconds = (ms: number) => `${ms.toFixed(1)} ms`;
  return (
    <Section title={since === null ? 'The last hour' : `Since ${time(since)}`}>
      <div class="charts">
        <Chart title="Received" values={samples.map(({ received }) => received)} show={(v) => `${size(v)}/s`} />
        <Chart title="Sent" values={samples.map(({ sent }) => sent)} show={(v) => `${size(v)}/s`} />
        <Chart title="A chunk takes" values={samples.map(({ chunk_ms: ms }) => ms ?? 0)} show={milliseconds} />
        <Chart title="Refusals" values={samples.map(({ refused }) => refused)} show={String} />
      </div>
    </Section>
  );
}

/** Storage and quota: one's own, for administrators those of everybody. */
function Storage(props: PageProps) {
  const { client, rights } = props.who;
  const all = props.who.atLeast('admin');
  const { value, error } = useLive(props, {
    load: async (signal) => {
      if (!all) return [{ name: rights.client_id, quota: await client.quotas.own({ signal }) }];
      const clients = await client.clients.list({ signal });
      const people = await collectAll(client.users.list({ signal }));
      const holders = [
        ...clients.map(({ client_id: id, name }) => ({ kind: 'client' as const, id, name: name ?? id })),
        ...people.map(({ id, email, username }) => ({ kind: 'person' as const, id, name: email ?? username ?? id })),
      ].slice(0, 100);
      return await Promise.all(
        holders.map(async ({ kind, id, name }) => ({ name, quota: await client.quotas.get(kind, id, { signal }) })),
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
            <meter min={0} max={limits.bytes} value={used.bytes} aria-label={`storage of ${name}`} />
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
        head={['Whose', 'Stored', 'Unfinished uploads', 'Uploaded today (UTC)']}
        rows={rows}
        empty={value === null ? 'Loading …' : 'Nobody stores anything yet.'}
      />
    </Section>
  );
}
