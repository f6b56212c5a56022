/** Delivery targets for files and events, and the state of deliveries. */
import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import type { Delivery, NewTarget, Target, TargetCreated } from '../../protocol/schemas/delivery.ts';
import { messageOf, time } from '../format.ts';
import type { PageProps } from '../page.ts';
import { ActionButton, ErrorMessage, Secret, Section, Table } from '../parts.tsx';
import { collectAll, useLive } from '../use-live.ts';
import { TargetForm } from './target-form.tsx';

const STATES = ['', 'queued', 'sending', 'delivered', 'failed', 'cancelled'] as const;
const MAX_DELIVERIES = 200;

type OnError = (message: string | null) => void;

export function DeliveriesTab(props: PageProps) {
  const [error, setError] = useState<string | null>(null);
  return (
    <>
      <ErrorMessage>{error}</ErrorMessage>
      <Targets page={props} onError={setError} />
      <Deliveries page={props} onError={setError} />
    </>
  );
}

function Targets({ page, onError }: { page: PageProps; onError: OnError }) {
  const { deliveries } = page.session.client;
  const [created, setCreated] = useState<TargetCreated | null>(null);
  const live = useLive(page, {
    load: (signal) => deliveries.targets({ signal }),
    types: ['admin.changed'],
  });
  const create = async (target: NewTarget): Promise<boolean> => {
    onError(null);
    try {
      setCreated(await deliveries.addTarget(target));
      live.refresh();
      return true;
    } catch (problem) {
      onError(messageOf(problem));
      return false;
    }
  };
  const row = (target: Target) => ({
    key: target.id,
    cells: targetCells(target, {
      toggle: () => deliveries.changeTarget(target.id, { disabled: !target.disabled }).then(live.refresh),
      remove: () => deliveries.removeTarget(target.id).then(live.refresh),
      onError,
    }),
  });
  return (
    <>
      {created?.secret !== undefined && (
        <Secret label={`The secret of ${created.name}`} value={created.secret} onDone={() => setCreated(null)} />
      )}
      <Section title="Targets">
        <ErrorMessage>{live.error}</ErrorMessage>
        <Table
          caption="Targets of deliveries"
          head={['Name', 'Kind', 'Address', 'Files', 'Actions']}
          rows={(live.value ?? []).map(row)}
          empty={live.value === null ? 'Loading …' : 'There are no targets. Add a webhook or an FTP server.'}
        />
        <TargetForm onCreate={create} />
      </Section>
    </>
  );
}

interface TargetActions {
  toggle(): Promise<unknown>;
  remove(): Promise<unknown>;
  onError: OnError;
}

function targetCells(target: Target, { toggle, remove, onError }: TargetActions): ComponentChildren[] {
  const { name, kind, url, host, rule, disabled } = target;
  return [
    <span class="name">{name}</span>,
    kind,
    <span class="name">{url ?? host ?? ''}</span>,
    disabled ? (
      <span class="bad">Disabled: {disabled.reason}</span>
    ) : (
      [rule.prefix, rule.type, rule.owner].filter(Boolean).join(', ') || 'all files'
    ),
    <span class="actions">
      <ActionButton
        label={`${disabled ? 'Enable' : 'Disable'} ${name}`}
        {...(disabled ? {} : { question: `Disable ${name}? Queued deliveries are cancelled.` })}
        run={toggle}
        onError={onError}
      >
        {disabled ? 'Enable' : 'Disable'}
      </ActionButton>
      <ActionButton
        kind="danger"
        label={`Delete ${name}`}
        question={`Delete ${name}? Queued deliveries are cancelled.`}
        run={remove}
        onError={onError}
      >
        Delete
      </ActionButton>
    </span>,
  ];
}

function Deliveries({ page, onError }: { page: PageProps; onError: OnError }) {
  const { deliveries } = page.session.client;
  const [state, setState] = useState<(typeof STATES)[number]>('');
  const live = useLive(page, {
    load: (signal) =>
      collectAll(deliveries.list({ signal, limit: MAX_DELIVERIES, ...(state === '' ? {} : { state }) })),
    types: ['file.completed', 'delivery.failed', 'admin.changed'],
    everyMs: 3000,
    key: state,
  });
  const row = (delivery: Delivery) => ({
    key: delivery.id,
    cells: deliveryCells(delivery, () => deliveries.retry(delivery.id).then(live.refresh), onError),
  });
  return (
    <Section
      title="Deliveries"
      actions={
        <label class="choice">
          State
          <select onChange={(event) => setState(event.currentTarget.value as typeof state)}>
            {STATES.map((one) => (
              <option key={one} value={one}>
                {one || 'any'}
              </option>
            ))}
          </select>
        </label>
      }
    >
      <ErrorMessage>{live.error}</ErrorMessage>
      <Table
        caption={`The newest ${MAX_DELIVERIES} deliveries`}
        head={['File or event', 'Target', 'State', 'Attempts', 'Last error', 'Queued', 'Actions']}
        rows={(live.value ?? []).map(row)}
        empty={live.value === null ? 'Loading …' : 'There are no deliveries.'}
      />
    </Section>
  );
}

function deliveryCells(delivery: Delivery, retry: () => Promise<unknown>, onError: OnError): ComponentChildren[] {
  const { target, event, filename, state, attempts, last_error: error, created_at: created } = delivery;
  return [
    <span class="name">{filename ?? event}</span>,
    target,
    <span class={state === 'failed' ? 'bad' : ''}>{state}</span>,
    attempts,
    <span class="quiet">{error}</span>,
    time(created),
    state === 'failed' || state === 'cancelled' ? (
      <ActionButton label={`Retry ${filename ?? event}`} run={retry} onError={onError}>
        Retry
      </ActionButton>
    ) : (
      ''
    ),
  ];
}
