/** The page: somebody signs in, then sees their files and moves some. */
import { render } from 'preact';
import { useEffect, useMemo, useState } from 'preact/hooks';
import { messageOf } from './format.ts';
import { partOf } from './page.ts';
import { PAGES } from './pages.ts';
import { resume, type SignedIn, type SignIn, signIn, signInProviders } from './session.ts';
import { type Task, Transfers } from './transfers.ts';
import './style.css';

function App() {
  const [who, setWho] = useState<SignedIn | null | undefined>(undefined);
  const [trouble, setTrouble] = useState<string | null>(null);
  const [address, setAddress] = useState(partOf(location.hash, 0));
  useEffect(() => {
    const follow = () => setAddress(partOf(location.hash, 0));
    addEventListener('hashchange', follow);
    return () => removeEventListener('hashchange', follow);
  }, []);
  const enter = (next: SignedIn | null) => {
    next?.onEnded((why) => {
      setTrouble(why);
      setWho(null);
      void next.signOut();
    });
    setWho(next);
  };
  useEffect(() => {
    resume().then(enter, (error) => {
      setTrouble(messageOf(error));
      setWho(null);
    });
  }, []);
  if (who === undefined) return <main aria-busy="true">Lading …</main>;
  if (who === null) return <SignInPage trouble={trouble} onDone={enter} />;
  const leave = (why: string | null) => {
    setTrouble(why);
    setWho(null);
    void who.signOut();
  };
  return <Inside who={who} address={address} onLeave={leave} />;
}

/** What somebody sees who has signed in. */
function Inside({ who, address, onLeave }: { who: SignedIn; address: string; onLeave(why: string | null): void }) {
  const [tasks, setTasks] = useState<Task[]>([]);
  // Made once, so that it goes on whatever is shown.
  const moves = useMemo(() => new Transfers(who, setTasks), [who]);
  useEffect(() => {
    const ask = (event: BeforeUnloadEvent) => {
      if (moves.isBusy) event.preventDefault();
    };
    addEventListener('beforeunload', ask);
    return () => {
      removeEventListener('beforeunload', ask);
      moves.close();
    };
  }, [moves]);
  const mayLeave = () =>
    !moves.isBusy || confirm('Transfers are on their way. Sign out and stop them? What arrived of uploads is kept.');
  const shown = PAGES.filter((page) => page.allowed(who));
  const { Page, path: here } = shown.find(({ path }) => path === address) ?? shown[0] ?? PAGES[0];
  const everywhere = () => {
    if (!mayLeave() || !confirm('Sign out here and on all other devices?')) return;
    who.client.sessions.endAll().then(
      () => onLeave(null),
      (problem) => onLeave(messageOf(problem)),
    );
  };
  return (
    <>
      <header>
        <h1>Lading</h1>
        <nav aria-label="Pages">
          {shown.length > 1 &&
            shown.map(({ path, title }) => (
              <a key={path} href={`#/${path}`} aria-current={path === here ? 'page' : undefined}>
                {title}
              </a>
            ))}
        </nav>
        <span class="quiet name" title={who.rights.role}>
          {who.subject}
        </span>
        {who.rights.kind !== 'token' && (
          <button type="button" onClick={everywhere}>
            Sign out everywhere
          </button>
        )}
        <button type="button" onClick={() => mayLeave() && onLeave(null)}>
          Sign out
        </button>
      </header>
      <Page who={who} transfers={moves} tasks={tasks} onEnded={onLeave} />
    </>
  );
}

const WAYS = [
  ['client', 'Client', 'Client id', 'Client secret'],
  ['account', 'Account', 'E-mail address', 'Password'],
  ['token', 'API token', null, 'API token'],
] as const;

/** As people know them. */
const PROVIDERS: Record<string, string> = { oidc: 'your organisation', yandex: 'Yandex' };

function SignInPage({ trouble, onDone }: { trouble: string | null; onDone(who: SignedIn): void }) {
  const [kind, setKind] = useState<SignIn['kind']>('client');
  const [error, setError] = useState(trouble);
  const [busy, setBusy] = useState(false);
  const [providers, setProviders] = useState<{ name: string; href: string }[]>([]);
  useEffect(() => {
    void signInProviders().then(setProviders);
  }, []);
  const [, , idWord, secretWord] = WAYS.find(([way]) => way === kind) ?? WAYS[0];
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const id = String(form.get('id') ?? '');
    const secret = String(form.get('secret') ?? '');
    setBusy(true);
    setError(null);
    try {
      if (kind === 'account') onDone(await signIn({ kind, email: id, password: secret }));
      else if (kind === 'client') onDone(await signIn({ kind, id, secret }));
      else onDone(await signIn({ kind, token: secret }));
    } catch (problem) {
      setError(messageOf(problem));
      setBusy(false);
    }
  };
  return (
    <main class="sign-in">
      <h1>Sign in to Lading</h1>
      <fieldset class="bar">
        <legend>With</legend>
        {WAYS.map(([way, title]) => (
          <button key={way} type="button" aria-pressed={way === kind} onClick={() => setKind(way)}>
            {title}
          </button>
        ))}
      </fieldset>
      <form onSubmit={submit}>
        {idWord !== null && (
          <label>
            {idWord}
            <input name="id" autocomplete="username" required />
          </label>
        )}
        <label>
          {secretWord}
          <input name="secret" type="password" autocomplete="current-password" required />
        </label>
        <button class="main" type="submit" disabled={busy}>
          Sign in
        </button>
        <p role="alert" class="bad">
          {error}
        </p>
      </form>
      {providers.length > 0 && (
        <p class="bar">
          {providers.map(({ name, href }) => (
            <a key={name} class="button" href={href}>
              {`Sign in with ${PROVIDERS[name] ?? name}`}
            </a>
          ))}
        </p>
      )}
    </main>
  );
}

const root = document.getElementById('app');
if (root !== null) render(<App />, root);
