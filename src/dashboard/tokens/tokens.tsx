/** API tokens: create, rotate and revoke them, and see how often they are used. */
import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import type { ApiToken, ApiTokenCreated, NewApiToken } from '../../protocol/schemas/identity/token.ts';
import { messageOf, time } from '../format.ts';
import type { PageProps } from '../page.ts';
import { ActionButton, ErrorMessage, Secret, Section, Table } from '../parts.tsx';
import { useLive } from '../use-live.ts';

const LIFETIMES = [
  ['', 'no expiry'],
  ['86400', 'a day'],
  ['2592000', '30 days'],
  ['31536000', 'a year'],
] as const;

export function TokensPage(props: PageProps) {
  const { session } = props;
  const [error, setError] = useState<string | null>(null);
  const [created, setCreated] = useState<ApiTokenCreated | null>(null);
  const live = useLive(props, {
    load: (signal) => session.client.tokens.list(undefined, { signal }),
    types: ['admin.changed'],
    // There is no event for uses of a token.
    everyMs: 5000,
  });
  const row = (token: ApiToken) => ({
    key: token.token_id,
    cells: tokenCells(token, {
      rotate: () => session.client.tokens.rotate(token.token_id).then(setCreated).then(live.refresh),
      revoke: () => session.client.tokens.revoke(token.token_id).then(live.refresh),
      onError: setError,
    }),
  });
  const create = async (request: NewApiToken): Promise<boolean> => {
    setError(null);
    try {
      setCreated(await session.client.tokens.create(request));
      live.refresh();
      return true;
    } catch (problem) {
      setError(messageOf(problem));
      return false;
    }
  };
  return (
    <main>
      {created && (
        <Secret label={`The token ${created.name ?? ''}`} value={created.token} onDone={() => setCreated(null)} />
      )}
      <ErrorMessage>{error ?? live.error}</ErrorMessage>
      <NewToken scopes={session.rights.scopes} onCreate={create} />
      <Section title="Tokens">
        <Table
          caption="Valid API tokens"
          head={['Name', 'Scopes', 'Owner', 'Last used', 'Uses', 'Expires', 'Actions']}
          rows={(live.value ?? []).map(row)}
          empty={live.value === null ? 'Loading …' : 'There are no tokens. Create one for a program.'}
        />
      </Section>
    </main>
  );
}

/** Uses per day of the last 30 days, as bars. */
function Uses({ token: { uses, uses_by_day: days } }: { token: ApiToken }) {
  const highest = Math.max(1, ...days);
  return (
    <span class="uses">
      <svg viewBox={`0 0 ${days.length * 4} 20`} role="img" aria-label={`used ${days.at(-1) ?? 0} times today`}>
        {days.map((count, index) => {
          const height = count === 0 ? 0 : Math.max(1, (20 * count) / highest);
          return <rect key={days.length - index} x={index * 4} y={20 - height} width={3} height={height} />;
        })}
      </svg>
      {` ${uses}`}
    </span>
  );
}

interface TokenActions {
  rotate(): Promise<unknown>;
  revoke(): Promise<unknown>;
  onError(message: string | null): void;
}

function tokenCells(token: ApiToken, { rotate, revoke, onError }: TokenActions): ComponentChildren[] {
  const name = token.name ?? token.token_id;
  return [
    <span class="name">{name}</span>,
    token.scopes.join(', '),
    token.user_id === token.owner_id ? token.owner_id : `${token.user_id} (${token.owner_id})`,
    token.last_used === null ? 'never' : time(token.last_used),
    <Uses token={token} />,
    token.expires_at === null ? 'never' : time(token.expires_at),
    <span class="actions">
      <ActionButton
        label={`Rotate ${name}`}
        question={`Replace the secret of ${name}? The old secret stops working at once.`}
        run={rotate}
        onError={onError}
      >
        Rotate
      </ActionButton>
      <ActionButton
        kind="danger"
        label={`Revoke ${name}`}
        question={`Revoke ${name}? It stops working at once.`}
        run={revoke}
        onError={onError}
      >
        Revoke
      </ActionButton>
    </span>,
  ];
}

/** @param onCreate creates the token; the form is reset when it resolves with true */
function NewToken({ scopes, onCreate }: { scopes: string[]; onCreate(request: NewApiToken): Promise<boolean> }) {
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const data = new FormData(form);
    const name = String(data.get('name') ?? '').trim();
    const life = String(data.get('life') ?? '');
    const selected = data.getAll('scope').map(String);
    const created = await onCreate({
      scopes: selected,
      ...(name === '' ? {} : { name }),
      ...(life === '' ? {} : { expires_in: Number(life) }),
    });
    if (created) form.reset();
  };
  return (
    <Section title="New token">
      <form class="inline" onSubmit={(event) => void submit(event)}>
        <label>
          Token name
          <input name="name" maxLength={200} placeholder="backup of the studio" />
        </label>
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
        <fieldset class="choices">
          <legend>Scopes</legend>
          {scopes.map((scope) => (
            <label key={scope} class="choice">
              <input type="checkbox" name="scope" value={scope} defaultChecked={scope === 'files:read'} />
              {scope}
            </label>
          ))}
        </fieldset>
        <button class="main" type="submit">
          Create token
        </button>
      </form>
    </Section>
  );
}
