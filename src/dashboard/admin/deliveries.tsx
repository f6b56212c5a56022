/** Where finished files and events are sent on to, and how that goes. */
import { useState } from 'preact/hooks';
import type { Delivery, NewTarget, TargetCreated } from '../../protocol/schemas/delivery.ts';
import { messageOf, time } from '../format.ts';
import type { PageProps } from '../page.ts';
import { ActionButton, ErrorMessage, Secret, Section, Table } from '../parts.tsx';
import { collectAll, useLive } from '../use-live.ts';

const STATES = ['', 'queued', 'sending', 'delivered', 'failed', 'cancelled'] as const;
const MAX_DELIVERIES = 200;

/** What the form offers: a kind, or a kind with its security. */
type TargetChoice = NewTarget['kind'] | 'ftps-implicit';

export function DeliveriesTab(props: PageProps) {
  const { client } = props.who;
  const [error, setError] = useState<string | null>(null);
  const [made, setMade] = useState<TargetCreated | null>(null);
  const [kind, setKind] = useState<TargetChoice>('webhook');
  const [state, setState] = useState<(typeof STATES)[number]>('');
  const targets = useLive(props, {
    load: (signal) => client.deliveries.targets({ signal }),
    types: ['admin.changed'],
  });
  const deliveries = useLive(props, {
    load: (signal) =>
      collectAll(client.deliveries.list({ signal, limit: MAX_DELIVERIES, ...(state === '' ? {} : { state }) })),
    types: ['file.completed', 'delivery.failed', 'admin.changed'],
    everyMs: 3000,
    key: state,
  });
  const create = async (event: SubmitEvent) => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const data = new FormData(form);
    setError(null);
    try {
      setMade(await client.deliveries.addTarget(targetOf(data)));
      form.reset();
      setKind('webhook');
      targets.refresh();
    } catch (problem) {
      setError(messageOf(problem));
    }
  };
  const targetRows = (targets.value ?? []).map(({ id, name, kind, url, host, rule, disabled }) => ({
    key: id,
    cells: [
      <span class="name">{name}</span>,
      kind,
      <span class="name">{url ?? host ?? ''}</span>,
      disabled ? (
        <span class="bad">Disabled: {disabled.reason}</span>
      ) : (
        [rule.prefix, rule.type, rule.owner].filter(Boolean).join(', ') || 'all files'
      ),
      <>
        <ActionButton
          label={`${disabled ? 'Enable' : 'Disable'} ${name}`}
          {...(disabled ? {} : { ask: `Disable ${name}? What waits for it is cancelled.` })}
          run={() => client.deliveries.changeTarget(id, { disabled: !disabled }).then(targets.refresh)}
          onError={setError}
        >
          {disabled ? 'Enable' : 'Disable'}
        </ActionButton>
        <ActionButton
          kind="danger"
          label={`Remove ${name}`}
          ask={`Remove ${name}? What waits for it is cancelled.`}
          run={() => client.deliveries.removeTarget(id).then(targets.refresh)}
          onError={setError}
        >
          Remove
        </ActionButton>
      </>,
    ],
  }));
  const row = ({ id, target, event, filename, state: now, attempts, last_error, created_at }: Delivery) => ({
    key: id,
    cells: [
      <span class="name">{filename ?? event}</span>,
      target,
      <span class={now === 'failed' ? 'bad' : ''}>{now}</span>,
      attempts,
      <span class="quiet">{last_error}</span>,
      time(created_at),
      now === 'failed' || now === 'cancelled' ? (
        <ActionButton
          label={`Retry ${filename ?? event}`}
          run={() => client.deliveries.retry(id).then(deliveries.refresh)}
          onError={setError}
        >
          Retry
        </ActionButton>
      ) : (
        ''
      ),
    ],
  });
  return (
    <>
      {made?.secret !== undefined && (
        <Secret label={`The secret of ${made.name}`} value={made.secret} onDone={() => setMade(null)} />
      )}
      <ErrorMessage>{error ?? targets.error ?? deliveries.error}</ErrorMessage>
      <Section title="Targets">
        <Table
          caption="Where finished files and events go"
          head={['Name', 'Kind', 'Where', 'What', 'Actions']}
          rows={targetRows}
          empty={targets.value === null ? 'Loading …' : 'Nothing is sent on. Add a webhook or an FTP server.'}
        />
        <form class="inline" onSubmit={(event) => void create(event)}>
          <label>
            Kind
            <select name="kind" value={kind} onChange={(event) => setKind(event.currentTarget.value as TargetChoice)}>
              <option value="webhook">webhook</option>
              <option value="ftps">FTP with TLS</option>
              <option value="ftps-implicit">FTP with TLS from the first byte</option>
              <option value="ftp">FTP</option>
            </select>
          </label>
          {kind === 'webhook' ? <WebhookFields /> : <FtpFields secure={kind !== 'ftp'} />}
          <label>
            Only names that begin with
            <input name="prefix" maxLength={1024} placeholder="any" />
          </label>
          <button class="main" type="submit">
            Add target
          </button>
        </form>
      </Section>
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
        <Table
          caption={`The newest ${MAX_DELIVERIES} at most`}
          head={['What', 'To', 'State', 'Tries', 'Last error', 'Queued', 'Actions']}
          rows={(deliveries.value ?? []).map(row)}
          empty={deliveries.value === null ? 'Loading …' : 'Nothing is on its way.'}
        />
      </Section>
    </>
  );
}

function WebhookFields() {
  return (
    <>
      <label>
        URL of a webhook
        <input name="url" type="url" required placeholder="https://example.org/hook" />
      </label>
      <label>
        It gets
        <select name="content">
          <option value="event">events</option>
          <option value="file">the files themselves</option>
        </select>
      </label>
    </>
  );
}

function FtpFields({ secure }: { secure: boolean }) {
  return (
    <>
      <label>
        Host
        <input name="host" required maxLength={253} placeholder="ftp.example.org" />
      </label>
      <label>
        Port
        <input name="port" type="number" min={1} max={65_535} placeholder="21" />
      </label>
      <label>
        User name
        <input name="username" autocomplete="off" placeholder="anonymous" />
      </label>
      <label>
        Password
        <input name="password" type="password" autocomplete="new-password" />
      </label>
      <label>
        Directory
        <input name="directory" placeholder="/" />
      </label>
      <label>
        Names there
        <input name="pattern" maxLength={200} placeholder="{date}_{time}_{client_id}_{name}" />
      </label>
      {secure && (
        <label>
          Certificate of its authority (PEM)
          <textarea name="ca" rows={2} maxLength={32_768} placeholder="only if it is a private one" />
        </label>
      )}
    </>
  );
}

function targetOf(data: FormData): NewTarget {
  const text = (name: string) => String(data.get(name) ?? '').trim();
  const choice = text('kind') as TargetChoice;
  const implicit = choice === 'ftps-implicit';
  const kind = implicit ? 'ftps' : choice;
  const rule = text('prefix') === '' ? {} : { rule: { prefix: text('prefix') } };
  if (kind === 'webhook')
    return { kind, url: text('url'), content: text('content') === 'file' ? 'file' : 'event', ...rule };
  const optional = (name: string) => (text(name) === '' ? {} : { [name]: text(name) });
  const port = text('port');
  return {
    kind,
    host: text('host'),
    ...(implicit ? { security: 'implicit' as const } : {}),
    password: String(data.get('password') ?? ''),
    ...(port === '' ? {} : { port: Number(port) }),
    ...optional('username'),
    ...optional('directory'),
    ...optional('pattern'),
    ...optional('ca'),
    ...rule,
  };
}
