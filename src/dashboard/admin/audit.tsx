/** The audit log. */
import { useState } from 'preact/hooks';
import { AUDIT_ACTIONS, type AuditRecord } from '../../protocol/schemas/audit.ts';
import { time } from '../format.ts';
import type { PageProps } from '../page.ts';
import { ErrorMessage, Section, Table } from '../parts.tsx';
import { collectAll, useLive } from '../use-live.ts';

const MAX_ENTRIES = 200;

export function AuditTab(props: PageProps) {
  const [action, setAction] = useState('');
  const [principal, setPrincipal] = useState('');
  const live = useLive(props, {
    load: (signal) =>
      collectAll(
        props.session.client.audit({
          signal,
          limit: MAX_ENTRIES,
          action: action || undefined,
          principal: principal || undefined,
        }),
      ),
    types: ['admin.changed', 'auth.refused', 'file.deleted'],
    everyMs: 10_000,
    key: `${action} ${principal}`,
  });
  const row = (entry: AuditRecord, index: number) => ({
    key: `${entry.time} ${entry.request_id ?? ''} ${index}`,
    cells: [
      time(entry.time),
      entry.action,
      <span class={entry.outcome === 'refused' ? 'bad' : ''}>
        {entry.count > 1 ? `${entry.outcome} × ${entry.count}` : entry.outcome}
      </span>,
      <span class="name">{entry.principal ?? 'unknown'}</span>,
      <span class="name">{entry.target}</span>,
      <span class="quiet">{entry.detail}</span>,
      entry.address,
    ],
  });
  return (
    <Section
      title="Audit log"
      actions={
        <>
          <label class="choice">
            Action
            <select onChange={(event) => setAction(event.currentTarget.value)}>
              <option value="">any</option>
              {AUDIT_ACTIONS.map((one) => (
                <option key={one} value={one}>
                  {one.replaceAll('_', ' ')}
                </option>
              ))}
            </select>
          </label>
          <label class="choice">
            Principal
            <input onChange={(event) => setPrincipal(event.currentTarget.value.trim())} placeholder="id" />
          </label>
        </>
      }
    >
      <ErrorMessage>{live.error}</ErrorMessage>
      <Table
        caption={`The newest ${MAX_ENTRIES} entries`}
        head={['Time', 'Action', 'Outcome', 'Principal', 'Target', 'Detail', 'Address']}
        rows={(live.value ?? []).map(row)}
        empty={live.value === null ? 'Loading …' : 'No entries match.'}
      />
    </Section>
  );
}
