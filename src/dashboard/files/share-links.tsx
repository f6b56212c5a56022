/** Share links to a file. */
import { useState } from 'preact/hooks';
import type { NewShare } from '../../protocol/schemas/share.ts';
import { messageOf, time } from '../format.ts';
import type { PageProps } from '../page.ts';
import { ActionButton, ErrorMessage, Secret, Table } from '../parts.tsx';
import { serverAddress } from '../session.ts';
import { useLive } from '../use-live.ts';

const LIFETIMES = [
  ['3600', 'an hour'],
  ['86400', 'a day'],
  ['604800', 'a week'],
  ['2592000', '30 days'],
] as const;

export function ShareLinks({ page, name }: { page: PageProps; name: string }) {
  const { shares } = page.session.client;
  const [error, setError] = useState<string | null>(null);
  const [link, setLink] = useState<string | null>(null);
  const live = useLive(page, {
    load: (signal) => shares.list(name, { signal }),
    types: ['admin.changed'],
    everyMs: 5000,
    key: name,
  });
  const create = async (request: NewShare): Promise<boolean> => {
    setError(null);
    try {
      setLink(serverAddress((await shares.create(name, request)).url));
      live.refresh();
      return true;
    } catch (problem) {
      setError(messageOf(problem));
      return false;
    }
  };
  const rows = (live.value ?? []).map(
    ({ share_id: id, expires_at, max_downloads, downloads, password, created_by }) => ({
      key: id,
      cells: [
        time(expires_at),
        max_downloads === null ? downloads : `${downloads} of ${max_downloads}`,
        password ? 'yes' : 'no',
        created_by ?? 'another principal',
        <ActionButton
          kind="danger"
          label={`Revoke the link that expires ${time(expires_at)}`}
          run={() => shares.revoke(id).then(live.refresh)}
          onError={setError}
        >
          Revoke
        </ActionButton>,
      ],
    }),
  );
  return (
    <section class="card" aria-label="Share links">
      <h3>Share links</h3>
      {link !== null && <Secret label="The link" value={link} onDone={() => setLink(null)} />}
      <ErrorMessage>{error ?? live.error}</ErrorMessage>
      <NewLink onCreate={create} />
      <Table
        caption="Valid links"
        head={['Expires', 'Downloads', 'Password', 'Created by', 'Actions']}
        rows={rows}
        empty={live.value === null ? 'Loading …' : 'There are no links to this file.'}
      />
    </section>
  );
}

/** @param onCreate creates the link; the form is reset when it resolves with true */
function NewLink({ onCreate }: { onCreate(request: NewShare): Promise<boolean> }) {
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const data = new FormData(form);
    const [maximum, password] = [String(data.get('maximum') ?? ''), String(data.get('password') ?? '')];
    const created = await onCreate({
      expires_in: Number(data.get('life')),
      ...(maximum === '' ? {} : { max_downloads: Number(maximum) }),
      ...(password === '' ? {} : { password }),
    });
    if (created) form.reset();
  };
  return (
    <form class="inline" onSubmit={(event) => void submit(event)}>
      <label>
        Expires after
        <select name="life">
          {LIFETIMES.map(([seconds, title]) => (
            <option key={seconds} value={seconds}>
              {title}
            </option>
          ))}
        </select>
      </label>
      <label>
        Maximum downloads
        <input name="maximum" type="number" min={1} placeholder="unlimited" />
      </label>
      <label>
        Password
        <input name="password" type="password" minLength={8} autocomplete="new-password" placeholder="none" />
      </label>
      <button class="main" type="submit">
        Create link
      </button>
    </form>
  );
}
