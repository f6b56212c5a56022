/** The dashboard: sign-in and the frame of all pages. */
import { render } from 'preact';
import { useEffect, useMemo, useState } from 'preact/hooks';
import { messageOf } from './format.ts';
import { partOf } from './page.ts';
import { PAGES } from './pages.ts';
import { resume, type Session, type SignIn, signIn, signInProviders } from './session.ts';
import { type Task, Transfers } from './transfers.ts';
import './style/base.css';
import './style/controls.css';
import './style/tables.css';
import './style/files.css';
import './style/charts.css';

function App() {
  const [session, setSession] = useState<Session | null | undefined>(undefined);
  const [failure, setFailure] = useState<string | null>(null);
  const [address, setAddress] = useState(partOf(location.hash, 0));
  useEffect(() => {
    const follow = () => setAddress(partOf(location.hash, 0));
    addEventListener('hashchange', follow);
    return () => removeEventListener('hashchange', follow);
  }, []);
  const enter = (next: Session | null) => {
    next?.onEnded((reason) => {
      setFailure(reason);
      setSession(null);
      void next.signOut();
    });
    setSession(next);
  };
  useEffect(() => {
    resume().then(enter, (error) => {
      setFailure(messageOf(error));
      setSession(null);
    });
  }, []);
  if (session === undefined) return <main aria-busy="true">Lading …</main>;
  if (session === null) return <SignInPage failure={failure} onDone={enter} />;
  const leave = (reason: string | null) => {
    setFailure(reason);
    setSession(null);
    void session.signOut();
  };
  return <SignedInFrame session={session} address={address} onLeave={leave} />;
}

/** The frame of all pages after the sign-in. */
function SignedInFrame({
  session,
  address,
  onLeave,
}: {
  session: Session;
  address: string;
  onLeave(reason: string | null): void;
}) {
  const [tasks, setTasks] = useState<Task[]>([]);
  // Created once, so that transfers continue when another page is shown.
  const transfers = useMemo(() => new Transfers(session, setTasks), [session]);
  useEffect(() => {
    const confirmUnload = (event: BeforeUnloadEvent) => {
      if (transfers.isBusy) event.preventDefault();
    };
    addEventListener('beforeunload', confirmUnload);
    return () => {
      removeEventListener('beforeunload', confirmUnload);
      transfers.close();
    };
  }, [transfers]);
  const mayLeave = () =>
    !transfers.isBusy || confirm('Transfers are running. Sign out and stop them? Uploads can be resumed later.');
  const shown = PAGES.filter((page) => page.allowed(session));
  const { Page, path: here } = shown.find(({ path }) => path === address) ?? shown[0] ?? PAGES[0];
  const signOutEverywhere = () => {
    if (!mayLeave() || !confirm('Sign out on this and all other devices?')) return;
    session.client.sessions.endAll().then(
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
        <span class="quiet name" title={session.rights.role}>
          {session.subject}
        </span>
        {session.rights.kind !== 'token' && (
          <button type="button" onClick={signOutEverywhere}>
            Sign out everywhere
          </button>
        )}
        <button type="button" onClick={() => mayLeave() && onLeave(null)}>
          Sign out
        </button>
      </header>
      <Page session={session} transfers={transfers} tasks={tasks} onEnded={onLeave} />
    </>
  );
}

const METHODS = [
  ['client', 'Client', 'Client id', 'Client secret'],
  ['account', 'Account', 'E-mail address', 'Password'],
  ['token', 'API token', null, 'API token'],
] as const;

/** Display names of sign-in providers. */
const PROVIDERS: Record<string, string> = { oidc: 'your organisation', yandex: 'Yandex' };

function SignInPage({ failure, onDone }: { failure: string | null; onDone(session: Session): void }) {
  const [kind, setKind] = useState<SignIn['kind']>('client');
  const [error, setError] = useState(failure);
  const [busy, setBusy] = useState(false);
  const [providers, setProviders] = useState<{ name: string; href: string }[]>([]);
  useEffect(() => {
    void signInProviders().then(setProviders);
  }, []);
  const [, , idLabel, secretLabel] = METHODS.find(([method]) => method === kind) ?? METHODS[0];
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
        {METHODS.map(([method, title]) => (
          <button key={method} type="button" aria-pressed={method === kind} onClick={() => setKind(method)}>
            {title}
          </button>
        ))}
      </fieldset>
      <form onSubmit={submit}>
        {idLabel !== null && (
          <label>
            {idLabel}
            <input name="id" autocomplete="username" required />
          </label>
        )}
        <label>
          {secretLabel}
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
