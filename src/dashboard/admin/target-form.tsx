/** The form that creates a delivery target. */
import { useState } from 'preact/hooks';
import type { NewTarget } from '../../protocol/schemas/delivery.ts';

/** Choices of the form: a kind, or a kind with its security. */
type TargetChoice = NewTarget['kind'] | 'ftps-implicit';

/** @param onCreate creates the target; the form is reset when it resolves with true */
export function TargetForm({ onCreate }: { onCreate(target: NewTarget): Promise<boolean> }) {
  const [kind, setKind] = useState<TargetChoice>('webhook');
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    if (!(await onCreate(targetOf(new FormData(form))))) return;
    form.reset();
    setKind('webhook');
  };
  return (
    <form class="inline" onSubmit={(event) => void submit(event)}>
      <label>
        Kind
        <select name="kind" value={kind} onChange={(event) => setKind(event.currentTarget.value as TargetChoice)}>
          <option value="webhook">webhook</option>
          <option value="ftps">FTP with TLS</option>
          <option value="ftps-implicit">FTP with implicit TLS</option>
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
  );
}

function WebhookFields() {
  return (
    <>
      <label>
        Webhook URL
        <input name="url" type="url" required placeholder="https://example.org/hook" />
      </label>
      <label>
        Content
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
        File names
        <input name="pattern" maxLength={200} placeholder="{date}_{time}_{client_id}_{name}" />
      </label>
      {secure && (
        <label>
          Certificate authority (PEM)
          <textarea name="ca" rows={2} maxLength={32_768} placeholder="only for a private authority" />
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
