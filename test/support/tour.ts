/** A reader who follows the documentation: a server of its own in a folder of its own, a shell beside it, and one command after the other. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, copyFileSync, cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import type { TestContext } from 'node:test';
import { repoRoot } from './root.ts';

/** The folder of the build that these tests belong to. */
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
  /** What the pages after the quickstart take for granted: `$server` and `$auth`. */
  #variables: Record<string, string> = {};

  /** The server as `npm start` runs it for the first time, and a shell with what it printed. */
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
    tour.#variables = { server: tour.#here(ADDRESS), auth: `Authorization: Bearer ${await tour.#token()}` };
    return tour;
  }

  /** A token of the first administrator, as the quickstart gets one. */
  async #token(): Promise<string> {
    const { LADING_CLIENT_ID: username = '', LADING_CLIENT_SECRET: password = '' } = this.#credentials;
    const body = new URLSearchParams({ username, password });
    const reply = await fetch(`${this.#here(ADDRESS)}/auth/token`, { method: 'POST', body });
    const { access_token } = (await reply.json()) as { access_token: string };
    return access_token;
  }

  /** What the documentation expects to find in the folder of the checkout. */
  #layOut(): void {
    symlinkSync(BUILT, join(this.folder, 'dist'));
    // `lading` as `npm link` makes it.
    mkdirSync(join(this.folder, 'bin'));
    symlinkSync(join(BUILT, 'src/cli/main.js'), join(this.folder, 'bin/lading'));
    chmodSync(join(BUILT, 'src/cli/main.js'), 0o755);
    copyFileSync(join(repoRoot(), 'package-lock.json'), join(this.folder, 'package-lock.json'));
    cpSync(join(repoRoot(), 'examples'), join(this.folder, 'examples'), { recursive: true });
    // The packages as another project finds them; what npm packs of the client is the same code in fewer files.
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

  /** Starts the server on the port it had; resolves with what it printed up to the address. */
  async startServer(): Promise<string> {
    if (this.#server !== null) await gone(this.#server);
    const settings = { LADING_HOST: '127.0.0.1', LADING_PORT: this.#port, LADING_LOG_LEVEL: 'fatal' };
    const server = this.#start(process.execPath, ['dist/src/main.js'], settings);
    this.#server = server;
    const printed = await until(server, (text) => /^Lading listens on \S+\n/m.test(text));
    this.#port = /^Lading listens on \S+:(\d+)$/m.exec(printed)?.[1] ?? '';
    return printed;
  }

  /** Runs commands in the shell, which keeps its variables and functions; what they wrote to standard output. */
  async run(commands: string): Promise<string> {
    this.#shell ??= this.#start('/bin/sh', ['-eu'], { ...this.#credentials, ...this.#variables });
    const mark = `--- done ${Math.random()} ---`;
    this.#shell.stdin.write(`${this.#here(commands)}\nprintf '%s\\n' '${mark}'\n`);
    const printed = await until(this.#shell, (text) => text.includes(`${mark}\n`));
    return printed.slice(0, printed.indexOf(mark));
  }

  /** Runs a module that uses the package. */
  async runModule(source: string): Promise<string> {
    writeFileSync(join(this.folder, 'tour.mjs'), this.#here(source));
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

  #here(text: string): string {
    return text.replaceAll(ADDRESS, `http://127.0.0.1:${this.#port}`);
  }

  #start(command: string, args: string[], env: Record<string, string>): Piped {
    const settings = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('LADING_')));
    const child = spawn(command, args, {
      cwd: this.folder,
      env: {
        ...settings,
        PATH: `${join(this.folder, 'bin')}:${settings.PATH}`,
        LADING_SERVER: this.#here(ADDRESS),
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

function gone(child: Piped): Promise<unknown> {
  return child.exitCode === null && child.signalCode === null ? once(child, 'exit') : Promise.resolve();
}

/** Collects standard output until it is enough; with `toTheEnd` until it is closed. Throws with standard error when it ends before. */
function until(child: Piped, enough: (text: string) => boolean, toTheEnd = false): Promise<string> {
  return new Promise((resolve, reject) => {
    let printed = '';
    let complaints = '';
    const finish = (settle: () => void): void => {
      clearTimeout(limit);
      child.stdout.off('data', onText);
      child.stderr.off('data', onComplaint);
      child.off('close', onClose);
      // Nobody listens any more, but the pipes must not fill.
      child.stdout.resume();
      child.stderr.resume();
      settle();
    };
    const failed = (why: string): Error =>
      new Error(`${why}\n--- standard output\n${printed}\n--- standard error\n${complaints}`);
    const onText = (bytes: Buffer): void => {
      printed += bytes.toString();
      if (enough(printed)) finish(() => resolve(printed));
    };
    const onComplaint = (bytes: Buffer): void => {
      complaints += bytes.toString();
    };
    const onClose = (code: number | null): void => {
      const well = toTheEnd && code === 0;
      finish(() => (well ? resolve(printed) : reject(failed(`ended with ${code}`))));
    };
    const limit = setTimeout(() => finish(() => reject(failed('took too long'))), LIMIT_MS);
    child.stdout.on('data', onText);
    child.stderr.on('data', onComplaint);
    child.on('close', onClose);
  });
}
