/** Uploads in progress, statistics of the server, and storage. */
import type { ComponentChildren } from 'preact';
import { useRef, useState } from 'preact/hooks';
import { percentOf } from '../../protocol/schemas/progress.ts';
import type { Transfer } from '../../protocol/schemas/transfer.ts';
import { keptUntil, size } from '../format.ts';
import type { PageProps } from '../page.ts';
import { ActionButton, ErrorMessage, Section, Table } from '../parts.tsx';
import { cancelUpload } from '../uploads.ts';
import { useLive } from '../use-live.ts';
import { Charts } from './charts.tsx';
import { Storage } from './storage.tsx';

const CHANGES = [
  'file.created',
  'chunk.received',
  'file.completed',
  'file.deleted',
  'upload.cancelled',
  'upload.stale',
  'upload.expired',
] as const;
/** Window over which rates are computed. */
const RATE_MS = 5000;

interface ReceivedBytes {
  at: number;
  bytes: number;
}

export function LivePage(props: PageProps) {
  const { session } = props;
  const [error, setError] = useState<string | null>(null);
  const received = useRef(new Map<string, ReceivedBytes[]>());
  const live = useLive(props, {
    load: (signal) => session.client.transfers({ signal }),
    types: CHANGES,
    everyMs: 4000,
    onEvent: ({ type, file_id: id, chunk_bytes: bytes = 0 }) => {
      if (type !== 'chunk.received' || id === null) return;
      const list = received.current.get(id) ?? [];
      list.push({ at: performance.now(), bytes });
      received.current.set(id, list.slice(-50));
    },
  });
  const rateOf = (id: string | null): number => {
    const since = performance.now() - RATE_MS;
    const bytes = (received.current.get(id ?? '') ?? []).reduce(
      (sum, one) => sum + (one.at >= since ? one.bytes : 0),
      0,
    );
    return (1000 * bytes) / RATE_MS;
  };
  const { transfers = [], count = 0 } = live.value ?? {};
  const row = (transfer: Transfer) => ({
    key: transfer.file.id ?? transfer.file.filename,
    cells: transferCells(transfer, rateOf(transfer.file.id), {
      cancel: () => cancelUpload(props, transfer.file, transfer.owner).then(live.refresh),
      onError: setError,
    }),
  });
  return (
    <main>
      <ErrorMessage>{error ?? live.error}</ErrorMessage>
      {session.atLeast('ops') && <Charts {...props} />}
      <Section title="Uploads in progress">
        <Table
          caption={
            count > transfers.length
              ? `The newest ${transfers.length} of ${count}`
              : count === 1
                ? '1 upload'
                : `${count} uploads`
          }
          head={['Name', 'Owner', 'Received', 'Rate', 'Kept until', 'Actions']}
          rows={transfers.map(row)}
          empty={live.value === null ? 'Loading …' : 'No uploads are in progress.'}
        />
      </Section>
      <Storage {...props} />
    </main>
  );
}

interface TransferActions {
  cancel(): Promise<unknown>;
  onError(message: string | null): void;
}

/** @param rate bytes per second */
function transferCells(transfer: Transfer, rate: number, { cancel, onError }: TransferActions): ComponentChildren[] {
  const { file, owner, part, receiving } = transfer;
  const name = part ? 'Part of a concatenation' : file.filename;
  return [
    <span class="name" title={name}>
      {name}
    </span>,
    owner,
    <Manifest transfer={transfer} />,
    file.stale ? 'parked' : receiving ? `${size(rate)}/s` : 'idle',
    keptUntil(file),
    part ? (
      ''
    ) : (
      <ActionButton
        kind="danger"
        label={`Cancel the upload of ${name}`}
        question={`Cancel the upload of ${name}? The received bytes are deleted.${file.readable ? ' The stored file is kept.' : ''}`}
        run={cancel}
        onError={onError}
      >
        Cancel
      </ActionButton>
    ),
  ];
}

/** The received ranges of a file, drawn as a bar: dark is received, light is missing. */
function Manifest({ transfer: { file } }: { transfer: Transfer }) {
  const { total_bytes: total, bytes_received: received, missing } = file;
  const length = total ?? received;
  const percent = percentOf(file);
  const known = percent !== null || (total === 0 && !file.undeclared);
  const label = known ? `${percent ?? 0} % of ${size(total)}` : size(received);
  return (
    <span class="manifest">
      <svg viewBox="0 0 1000 10" preserveAspectRatio="none" role="img" aria-label={`${label} received`}>
        <rect class="received" x={0} y={0} width={length === 0 ? 0 : 1000} height={10} />
        {missing.map(([start, end]) => (
          <rect
            key={start}
            class="missing"
            x={(1000 * start) / length}
            y={0}
            width={Math.max(1, (1000 * (end - start + 1)) / length)}
            height={10}
          />
        ))}
      </svg>
      {label}
    </span>
  );
}
