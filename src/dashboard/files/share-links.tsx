/** Links by which anybody who has one reads the file. */
import { useState } from 'preact/hooks';
import { messageOf, time } from '../format.ts';
import type { PageProps } from '../page.ts';
import { ActionButton, ErrorMessage, Secret, Table } from '../parts.tsx';
import { serverAddress } from '../session.ts';
import { useLive } from '../use-live.ts';

const LIVES = [
  ['3600', 'an hour'],
  ['86400', 'a day'],
  ['604800', 'a week'],
  ['2592000', '30 days'],
] as const;

export function ShareLinks({ page, name }: { page: PageProps; name: string }) {
  const { shares } = page.who.client;
  const [error, setError] = useState<string | null>(null);
  const [link, setLink] = useState<string | null>(null);
  const live = useLive(page, {
    load: (signal) => shares.list(name, { signal }),
    types: ['admin.changed'],
    everyMs: 5000,
    key: name,
  });
  const create = async (event: SubmitEvent) => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const data = new FormData(form);
    const [most, password] = [String(data.get('most') ?? ''), String(data.get('password') ?? '')];
    setError(null);
    try {
      const share = await shares.create(name, {
        expires_in: Number(data.get('life')),
        ...(most === '' ? {} : { max_downloads: Number(most) }),
        ...(password === '' ? {} : { password }),
      });
      setLink(serverAddress(share.url));
      form.reset();
      live.refresh();
    } catch (problem) {
      setError(messageOf(problem));
    }
  };
  const rows = (live.value ?? []).map(
    ({ share_id: id, expires_at, max_downloads, downloads, password, created_by }) => ({
      key: id,
      cells: [
        time(expires_at),
        max_downloads === null ? downloads : `${downloads} of ${max_downloads}`,
        password ? 'yes' : 'no',
        created_by ?? 'somebody else',
        <ActionButton
          kind="danger"
          label={`Revoke the link until ${time(expires_at)}`}
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
      <form class="inline" onSubmit={(event) => void create(event)}>
        <label>
          Good for
          <select name="life">
            {LIVES.map(([seconds, title]) => (
              <option key={seconds} value={seconds}>
                {title}
              </option>
            ))}
          </select>
        </label>
        <label>
          Downloads at most
          <input name="most" type="number" min={1} placeholder="any number" />
        </label>
        <label>
          Password
          <input name="password" type="password" minLength={8} autocomplete="new-password" placeholder="none" />
        </label>
        <button class="main" type="submit">
          Make link
        </button>
      </form>
      <Table
        caption="Valid links"
        head={['Ends', 'Downloads', 'Password', 'Made by', 'Actions']}
        rows={rows}
        empty={live.value === null ? 'Loading …' : 'There is no link to this file.'}
      />
    </section>
  );
}
