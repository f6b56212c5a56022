/** Details of a file: facts, deliveries, preview, share links, grants and history. */
import { useEffect, useRef } from 'preact/hooks';
import type { FileStatus } from '../../client/client.ts';
import { parkedNote, size, time } from '../format.ts';
import type { PageProps } from '../page.ts';
import { ErrorMessage } from '../parts.tsx';
import { useLive } from '../use-live.ts';
import { Grants } from './grants.tsx';
import { History } from './history.tsx';
import { Preview } from './preview.tsx';
import { ShareLinks } from './share-links.tsx';

const CHANGES = [
  'chunk.received',
  'file.completed',
  'file.deleted',
  'upload.cancelled',
  'upload.stale',
  'delivery.failed',
] as const;

export function Details({ page, name, onClose }: { page: PageProps; name: string; onClose(): void }) {
  const { client } = page.session;
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  const { value, error } = useLive(page, {
    load: async (signal) => {
      const file = await client.status(name, { signal });
      const info = file.readable ? await client.head(name, { signal }) : null;
      return { file, digest: info?.reprDigest ?? null };
    },
    types: CHANGES,
    everyMs: 5000,
    key: name,
  });
  const file = value?.file;
  return (
    <dialog ref={dialog} aria-label={name} onClose={onClose}>
      <div class="bar">
        <h2 class="name">{name}</h2>
        <button type="button" onClick={() => dialog.current?.close()}>
          Close
        </button>
      </div>
      <ErrorMessage>{error}</ErrorMessage>
      {file === undefined ? (
        <p class="quiet">Loading …</p>
      ) : file.status === 'pending' ? (
        <p>This file was deleted.</p>
      ) : (
        <>
          <Facts file={file} digest={value?.digest ? `${value.digest.algorithm} ${hex(value.digest.value)}` : null} />
          {file.readable && file.status === 'complete' && (
            <>
              <Preview session={page.session} file={file} />
              <ShareLinks page={page} name={name} />
              <Grants page={page} name={name} />
              {page.session.atLeast('admin') && <History page={page} name={name} />}
            </>
          )}
        </>
      )}
    </dialog>
  );
}

function Facts({ file, digest }: { file: FileStatus; digest: string | null }) {
  const facts: [string, string][] = [
    ['Size', `${size(file.total_bytes ?? file.bytes_received)} (${file.total_bytes ?? file.bytes_received} bytes)`],
    ['Type', file.content_type ?? ''],
    ['CRC-32', file.crc32 ?? 'available when complete'],
    ['Digest', digest ?? 'not declared'],
    ...(file.stale
      ? ([['State', `Parked, because no bytes arrived for a long time; ${parkedNote(file)}`]] as [string, string][])
      : []),
    ['Created', time(file.created_at)],
    ['Completed', file.completed_at === null ? 'not yet' : time(file.completed_at)],
    ['Updated', time(file.updated_at)],
  ];
  const deliveries = file.deliveries ?? [];
  return (
    <>
      <dl class="facts">
        {facts.map(([title, text]) => (
          <div key={title}>
            <dt>{title}</dt>
            <dd>{text}</dd>
          </div>
        ))}
      </dl>
      {deliveries.length > 0 && (
        <ul class="plain" aria-label="Deliveries">
          {deliveries.map(({ target, state, attempts, last_error }) => (
            <li key={target}>
              {`${target}: `}
              <span class={state === 'failed' ? 'bad' : ''}>{state}</span>
              <span class="quiet">{` ${attempts} attempts ${last_error ?? ''}`}</span>
            </li>
          ))}
        </ul>
      )}
    </>
  );
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
