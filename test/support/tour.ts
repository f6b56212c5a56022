/** Runs the commands of the documentation one after the other, with a server and a shell in a folder of their own. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, copyFileSync, cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import type { TestContext } from 'node:test';
import { repoRoot } from './root.ts';

/** The build of these tests. */
const BUILT = dirname(dirname(import.meta.dirname));
const LIMIT_MS = 120_000;
/** The address that the documentation uses. */
const ADDRESS = 'http://localhost:8005';

type Piped = ChildProcessByStdio<Writable, Readable, Readable>;

export class Tour {
  readonly folder = mkdtempSync(join(tmpdir(), 'lading-readme-'));
  readonly #children = new Set<Piped>();
  #server: Piped | null = null;
  #shell: Piped | null = null;
  #port = '0';
  #credentials: Record<string, string> = {};
  /** The variables that the pages after the quickstart use: `$server` and `$auth`. */
  #variables: Record<string, string> = {};

  /** Starts a server as the first `npm start` does, with the credentials that it prints. */
  static async begin(t: TestContext): Promise<Tour> {
    const tour = new Tour();
    t.after(() => tour.end());
    tour.#layOut();
    const printed = await tour.startServer();
    const shown = (what: string): string => {
      const found = new RegExp(`^ *${what} +(\\S+)$`, 'm').exec(printed)?.[1];
      if (found === undefined) throw new Error(`the server did not show its ${what}:\n${printed}`);
      return found;
    };
    tour.#credentials = { LADING_CLIENT_ID: shown('client id'), LADING_CLIENT_SECRET: shown('client secret') };
    tour.#variables = { server: tour.#withPort(ADDRESS), auth: `Authorization: Bearer ${await tour.#token()}` };
    return tour;
  }

  /** Gets a token of the first administrator as in the quickstart. */
  async #token(): Promise<string> {
    const { LADING_CLIENT_ID: username = '', LADING_CLIENT_SECRET: password = '' } = this.#credentials;
    const body = new URLSearchParams({ username, password });
    const reply = await fetch(`${this.#withPort(ADDRESS)}/auth/token`, { method: 'POST', body });
    const { access_token } = (await reply.json()) as { access_token: string };
    return access_token;
  }

  /** Creates the files that the documentation expects in a checkout. */
  #layOut(): void {
    symlinkSync(BUILT, join(this.folder, 'dist'));
    // `lading`, as `npm link` creates it.
    mkdirSync(join(this.folder, 'bin'));
    symlinkSync(join(BUILT, 'src/cli/main.js'), join(this.folder, 'bin/lading'));
    chmodSync(join(BUILT, 'src/cli/main.js'), 0o755);
    copyFileSync(join(repoRoot(), 'package-lock.json'), join(this.folder, 'package-lock.json'));
    cpSync(join(repoRoot(), 'examples'), join(this.folder, 'examples'), { recursive: true });
    // The packages as installed in another project. The published client is the same code in fewer files.
    const installed = (name: string): string => {
      const folder = join(this.folder, 'node_modules', name);
      mkdirSync(folder, { recursive: true });
      symlinkSync(BUILT, join(folder, 'dist'));
      return folder;
    };
    copyFileSync(join(repoRoot(), 'package.json'), join(installed('lading'), 'package.json'));
    const exports = { '.': './dist/src/client/client.js', './node': './dist/src/client/node.js' };
    const client = { name: 'lading-client', type: 'module', exports };
    writeFileSync(join(installed('lading-client'), 'package.json'), JSON.stringify(client));
  }

  /** Starts the server again on its port; resolves with its output up to the address. */
  async startServer(): Promise<string> {
    if (this.#server !== null) await exitOf(this.#server);
    const settings = { LADING_HOST: '127.0.0.1', LADING_PORT: this.#port, LADING_LOG_LEVEL: 'fatal' };
    const server = this.#start(process.execPath, ['dist/src/main.js'], settings);
    this.#server = server;
    const printed = await until(server, (text) => /^Lading listens on \S+\n/m.test(text));
    this.#port = /^Lading listens on \S+:(\d+)$/m.exec(printed)?.[1] ?? '';
    return printed;
  }

  /** Runs commands in the shell, which keeps its variables and functions; resolves with their standard output. */
  async run(commands: string): Promise<string> {
    this.#shell ??= this.#start('/bin/sh', ['-eu'], { ...this.#credentials, ...this.#variables });
    const marker = `--- done ${Math.random()} ---`;
    this.#shell.stdin.write(`${this.#withPort(commands)}\nprintf '%s\\n' '${marker}'\n`);
    const printed = await until(this.#shell, (text) =>
      text.includes(`${marker}
`),
    );
    return printed.slice(0, printed.indexOf(marker));
  }

  /** Runs a module that imports the package; resolves with its standard output. */
  async runModule(source: string): Promise<string> {
    writeFileSync(join(this.folder, 'tour.mjs'), this.#withPort(source));
    const child = this.#start(process.execPath, ['tour.mjs'], this.#credentials);
    const printed = until(child, () => false, true);
    const [code] = await once(child, 'close');
    if (code !== 0) throw new Error(`the module ended with ${code}`);
    return printed;
  }

  end(): void {
    for (const child of this.#children) child.kill('SIGKILL');
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }

  #withPort(text: string): string {
    return text.replaceAll(ADDRESS, `http://127.0.0.1:${this.#port}`);
  }

  #start(command: string, args: string[], env: Record<string, string>): Piped {
    const settings = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('LADING_')));
    const child = spawn(command, args, {
      cwd: this.folder,
      env: {
        ...settings,
        PATH: `${join(this.folder, 'bin')}:${settings.PATH}`,
        LADING_SERVER: this.#withPort(ADDRESS),
        LADING_CONFIG: join(this.folder, 'none'),
        ...env,
      },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.#children.add(child);
    child.once('exit', () => this.#children.delete(child));
    return child;
  }
}

function exitOf(child: Piped): Promise<unknown> {
  return child.exitCode === null && child.signalCode === null ? once(child, 'exit') : Promise.resolve();
}

/** Collects standard output until `enough` accepts it, or with `toTheEnd` until it closes. Rejects with standard error if the process ends before. */
function until(child: Piped, enough: (text: string) => boolean, toTheEnd = false): Promise<string> {
  return new Promise((resolve, reject) => {
    let printed = '';
    let errors = '';
    const finish = (settle: () => void): void => {
      clearTimeout(limit);
      child.stdout.off('data', onText);
      child.stderr.off('data', onError);
      child.off('close', onClose);
      // Keep reading, so that the pipes do not fill.
      child.stdout.resume();
      child.stderr.resume();
      settle();
    };
    const failed = (why: string): Error =>
      new Error(`${why}\n--- standard output\n${printed}\n--- standard error
${errors}`);
    const onText = (bytes: Buffer): void => {
      printed += bytes.toString();
      if (enough(printed)) finish(() => resolve(printed));
    };
    const onError = (bytes: Buffer): void => {
      errors += bytes.toString();
    };
    const onClose = (code: number | null): void => {
      const succeeded = toTheEnd && code === 0;
      finish(() => (succeeded ? resolve(printed) : reject(failed(`ended with ${code}`))));
    };
    const limit = setTimeout(() => finish(() => reject(failed('took too long'))), LIMIT_MS);
    child.stdout.on('data', onText);
    child.stderr.on('data', onError);
    child.on('close', onClose);
  });
}
