/**
 * Calls by SIP, placed by baresip. Each call runs a process in a private directory, controlled over a port on loopback. The SIP
 * server comes from the settings, so the operator may name a host of their own network. The user supplies only the number, which
 * `numbers.ts` has reduced to digits.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { SAMPLE_RATE, spoken, wavOf } from './speech.ts';
import { type SpokenCall, type Voice, wordsOf } from './voice.ts';

/** Where distributions put the modules of baresip. */
const MODULE_FOLDERS = [
  '/usr/lib/baresip/modules',
  '/usr/lib/x86_64-linux-gnu/baresip/modules',
  '/usr/lib/aarch64-linux-gnu/baresip/modules',
  '/usr/local/lib/baresip/modules',
];
const MODULES = ['stdio', 'g711', 'aufile', 'ctrl_tcp', 'account', 'menu'];
const START_MS = 10_000;
/** How long the telephone may ring. */
const RING_MS = 45_000;
const CONTROL_BYTES = 64 * 1024;

export interface SipSettings {
  /** `sip:user@host` */
  address: string;
  password: string | null;
}

/** Speaks codes through baresip and espeak-ng, which must be installed. */
export function sipVoice({ address, password }: SipSettings): Voice {
  return {
    async speak(call, signal) {
      const directory = await mkdtemp(join(tmpdir(), 'lading-call-'));
      try {
        const samples = await spoken(wordsOf(call), signal);
        await placeCall({ directory, address, password, call, samples }, signal);
      } finally {
        await rm(directory, { recursive: true, force: true });
      }
    },
    close: async () => {},
  };
}

interface Placed extends SipSettings {
  directory: string;
  call: SpokenCall;
  samples: Int16Array;
}

async function placeCall({ directory, address, password, call, samples }: Placed, signal: AbortSignal): Promise<void> {
  const port = await freePort();
  const modules = MODULE_FOLDERS.find((path) => existsSync(path));
  if (modules === undefined) throw new Error('baresip, which places calls, is not installed');
  await writeFile(join(directory, 'code.wav'), wavOf(samples), { mode: 0o600 });
  const [scheme = 'sip', rest = ''] = address.split(/:(.*)/s);
  const host = rest.slice(rest.indexOf('@') + 1);
  // Without a password baresip does not register, and calls go straight to the host.
  const login = password === null ? ';regint=0' : `;auth_pass="${password.replaceAll(/["\\]/g, '\\$&')}"`;
  await writeFile(join(directory, 'accounts'), `<${address}>${login};audio_source=aufile,${directory}/code.wav\n`, {
    mode: 0o600,
  });
  await writeFile(join(directory, 'config'), configOf(directory, modules, port), { mode: 0o600 });
  signal.throwIfAborted();
  const child = spawn('baresip', ['-f', directory, '-4'], {
    stdio: 'ignore',
    env: { PATH: process.env.PATH ?? '', HOME: directory },
  });
  let aborted = (): void => {};
  const ended = new Promise<never>((_, reject) => {
    aborted = () => reject(new Error('the server is stopping'));
    child.on('error', (error) => reject(new Error('baresip, which places calls, cannot be started', { cause: error })));
    child.on('exit', () => reject(new Error('baresip exited before the call ended')));
    signal.addEventListener('abort', aborted, { once: true });
  });
  ended.catch(() => {});
  let control: Control | null = null;
  try {
    control = await Promise.race([Control.open(port), ended]);
    const to = `${scheme}:${call.to}@${host}`;
    await Promise.race([speakOver(control, to, samples.length / SAMPLE_RATE), ended]);
  } finally {
    signal.removeEventListener('abort', aborted);
    control?.close();
    await stop(child);
  }
}

async function speakOver(control: Control, to: string, seconds: number): Promise<void> {
  const answered = control.event(['CALL_ESTABLISHED', 'CALL_CLOSED'], RING_MS);
  control.command('dial', to);
  const { type, param } = await answered;
  if (type === 'CALL_CLOSED') throw new Error(`nobody answered: ${param || 'the call was refused'}`);
  // A user who hangs up early has heard the code or will request another call.
  const closed = control.event(['CALL_CLOSED'], (seconds + 5) * 1000).catch(() => null);
  await Promise.race([closed, sleep((seconds + 2) * 1000, null, { ref: false })]);
  control.command('hangup', '');
  await Promise.race([closed, sleep(1000)]);
}

function configOf(directory: string, modules: string, port: number): string {
  const lines = [
    'poll_method epoll',
    `module_path ${modules}`,
    'sip_listen 0.0.0.0:0',
    `audio_source aufile,${directory}/code.wav`,
    `audio_player aufile,${directory}/heard.wav`,
    'audio_alert aufile,/dev/null',
    'ausrc_srate 8000',
    'auplay_srate 8000',
    'ausrc_channels 1',
    'auplay_channels 1',
    `ctrl_tcp_listen 127.0.0.1:${port}`,
    ...MODULES.map(
      (name) =>
        `${['account'].includes(name) ? 'module_tmp' : ['menu', 'ctrl_tcp'].includes(name) ? 'module_app' : 'module'} ${name}.so`,
    ),
  ];
  return `${lines.join('\n')}\n`;
}

interface ControlEvent {
  type: string;
  param: string;
}

/** The control port of baresip: netstrings of JSON. */
class Control {
  readonly #socket: Socket;
  readonly #listeners = new Set<(event: ControlEvent) => void>();
  #pending = Buffer.alloc(0);

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('error', () => {});
    socket.on('data', (bytes: Buffer) => this.#read(bytes));
  }

  /** Connects, retrying until baresip listens. @throws Error after ten seconds */
  static async open(port: number): Promise<Control> {
    const until = performance.now() + START_MS;
    for (;;) {
      const socket = await new Promise<Socket | null>((resolve) => {
        const tried = connect(port, '127.0.0.1', () => resolve(tried));
        tried.on('error', () => resolve(null));
      });
      if (socket) return new Control(socket);
      if (performance.now() > until) throw new Error('baresip did not start in time');
      await sleep(50);
    }
  }

  command(command: string, params: string): void {
    const text = JSON.stringify({ command, params });
    this.#socket.write(`${Buffer.byteLength(text)}:${text},`);
  }

  /** Resolves with the next event of one of these types. @throws Error when none arrives in time */
  event(types: readonly string[], patienceMs: number): Promise<ControlEvent> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#listeners.delete(listener);
        reject(new Error('nobody answered'));
      }, patienceMs);
      const listener = (event: ControlEvent): void => {
        if (!types.includes(event.type)) return;
        clearTimeout(timer);
        this.#listeners.delete(listener);
        resolve(event);
      };
      this.#listeners.add(listener);
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #read(bytes: Buffer): void {
    this.#pending = Buffer.concat([this.#pending, bytes]);
    for (;;) {
      const colon = this.#pending.indexOf(':');
      const length = Number(this.#pending.toString('latin1', 0, colon));
      if (colon === -1 || !Number.isSafeInteger(length) || length > CONTROL_BYTES) break;
      if (this.#pending.length < colon + 1 + length + 1) break;
      const text = this.#pending.toString('utf8', colon + 1, colon + 1 + length);
      this.#pending = this.#pending.subarray(colon + 2 + length);
      const { event, type, param = '' } = JSON.parse(text) as { event?: boolean; type?: string; param?: string };
      if (event === true && type !== undefined) for (const listener of [...this.#listeners]) listener({ type, param });
    }
  }
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const exited = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  await Promise.race([exited, sleep(2000)]);
  child.kill('SIGKILL');
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
