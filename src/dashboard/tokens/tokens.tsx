/** API tokens: made, watched and revoked. */
import { useState } from 'preact/hooks';
import type { ApiToken, ApiTokenCreated } from '../../protocol/schemas/identity/token.ts';
import { messageOf, time } from '../format.ts';
import type { PageProps } from '../page.ts';
import { ActionButton, ErrorMessage, Secret, Section, Table } from '../parts.tsx';
import { useLive } from '../use-live.ts';

const LIVES = [
  ['', 'until it is revoked'],
  ['86400', 'a day'],
  ['2592000', '30 days'],
  ['31536000', 'a year'],
] as const;

export function TokensPage(props: PageProps) {
  const { who } = props;
  const [error, setError] = useState<string | null>(null);
  const [made, setMade] = useState<ApiTokenCreated | null>(null);
  const live = useLive(props, {
    load: (signal) => who.client.tokens.list(undefined, { signal }),
    types: ['admin.changed'],
    // How often they are used no event tells.
    everyMs: 5000,
  });
  const row = (token: ApiToken) => ({
    key: token.token_id,
    cells: [
      <span class="name">{token.name ?? token.token_id}</span>,
      token.scopes.join(', '),
      token.user_id === token.owner_id ? token.owner_id : `${token.user_id} (${token.owner_id})`,
      token.last_used === null ? 'never' : time(token.last_used),
      <Uses token={token} />,
      token.expires_at === null ? 'when revoked' : time(token.expires_at),
      <span class="acts">
        <ActionButton
          label={`Renew ${token.name ?? token.token_id}`}
          ask="The old secret is refused at once. Go on?"
          run={() => who.client.tokens.rotate(token.token_id).then(setMade).then(live.refresh)}
          onError={setError}
        >
          Renew
        </ActionButton>
        <ActionButton
          kind="danger"
          label={`Revoke ${token.name ?? token.token_id}`}
          ask={`Revoke ${token.name ?? token.token_id}? It is refused at once.`}
          run={() => who.client.tokens.revoke(token.token_id).then(live.refresh)}
          onError={setError}
        >
          Revoke
        </ActionButton>
      </span>,
    ],
  });
  return (
    <main>
      {made && <Secret label={`The token ${made.name ?? ''}`} value={made.token} onDone={() => setMade(null)} />}
      <ErrorMessage>{error ?? live.error}</ErrorMessage>
      <NewToken
        scopes={who.rights.scopes}
        onMake={async (token) => {
          setError(null);
          try {
            setMade(await who.client.tokens.create(token));
            live.refresh();
          } catch (problem) {
            setError(messageOf(problem));
          }
        }}
      />
      <Section title="Tokens">
        <Table
          caption="Valid API tokens"
          head={['Name', 'May', 'For', 'Last used', 'Uses', 'Ends', 'Actions']}
          rows={(live.value ?? []).map(row)}
          empty={
            live.value === null
              ? 'Loading …'
              : 'There is no token. Make one for a program that is to upload or read files.'
          }
        />
      </Section>
    </main>
  );
}

/** A bar a day, of the last 30. */
function Uses({ token: { uses, uses_by_day: days } }: { token: ApiToken }) {
  const most = Math.max(1, ...days);
  return (
    <span class="uses">
      <svg viewBox={`0 0 ${days.length * 4} 20`} role="img" aria-label={`used ${days.at(-1) ?? 0} times today`}>
        {days.map((count, index) => {
          const height = count === 0 ? 0 : Math.max(1, (20 * count) / most);
          return <rect key={days.length - index} x={index * 4} y={20 - height} width={3} height={height} />;
        })}
      </svg>
      {` ${uses}`}
    </span>
  );
}

interface Wish {
  name?: string;
  scopes: string[];
  expires_in?: number;
}

function NewToken({ scopes, onMake }: { scopes: string[]; onMake(wish: Wish): Promise<void> }) {
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const data = new FormData(form);
    const name = String(data.get('name') ?? '').trim();
    const life = String(data.get('life') ?? '');
    const wanted = data.getAll('scope').map(String);
    void onMake({
      scopes: wanted,
      ...(name === '' ? {} : { name }),
      ...(life === '' ? {} : { expires_in: Number(life) }),
    }).then(() => form.reset());
  };
  return (
    <Section title="New token">
      <form class="inline" onSubmit={submit}>
        <label>
          What it is for
          <input name="name" maxLength={200} placeholder="backup of the studio" />
        </label>
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
        <fieldset class="choices">
          <legend>It may</legend>
          {scopes.map((scope) => (
            <label key={scope} class="choice">
              <input type="checkbox" name="scope" value={scope} defaultChecked={scope === 'files:read'} />
              {scope}
            </label>
          ))}
        </fieldset>
        <button class="main" type="submit">
          Make token
        </button>
      </form>
    </Section>
  );
}
