/** A connection to an FTP or FTPS server, signed in and in the folder of its target. */
import { isIP } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { Client, enterPassiveModeIPv6, type FTPContext, FTPError, type FTPResponse } from 'basic-ftp';
import { connectForPassiveTransfer, parsePasvResponse } from 'basic-ftp/dist/transfer.js';
import type { FtpTargetDocument } from '../../records/delivery.ts';
import { asError, asTarget } from './failures.ts';

/** How long a server may do nothing. */
const IDLE_MS = 60_000;
/** After a data connection broke: how long to wait for the server to say why. */
const LAST_WORDS_MS = 2_000;

/** What is sent as the password of an account that has none. Some servers refuse an empty one, or one that is no address. */
const NO_PASSWORD = 'anonymous@';

/** True for the accounts of anonymous FTP, which need no password (RFC 1635). */
export function isAnonymous(username: string): boolean {
  return /^(anonymous|ftp)$/i.test(username);
}

export interface FtpAccess {
  target: FtpTargetDocument;
  password: string;
  /** Address to connect to, instead of looking the target's host up. */
  address: string | null;
}

/**
 * Runs `work` on a connection, which is closed afterwards. Data connections go to the address of the control connection, whatever address
 * the server names: behind a NAT it names an inner one, and a hostile server would name somebody else's.
 * @param makes false: a folder that is not there is not made; then `work` is not called, and null is returned
 */
export async function withFtp<T>(
  access: FtpAccess,
  signal: AbortSignal,
  makes: boolean,
  work: (session: FtpSession) => Promise<T>,
): Promise<T | null> {
  const client = new Client(IDLE_MS);
  client.prepareTransfer = async (ftp) => {
    const reply = await enterPassiveMode(ftp);
    keepsControl(ftp);
    return reply;
  };
  const close = (): void => client.close();
  signal.addEventListener('abort', close, { once: true });
  try {
    signal.throwIfAborted();
    await asTarget(() => client.access(accessOptions(access)));
    const { directory } = access.target;
    if (directory !== '' && makes) await asTarget(() => client.ensureDir(directory));
    else if (directory !== '' && !(await enters(client, directory))) return null;
    return await work(new FtpSession(client));
  } finally {
    signal.removeEventListener('abort', close);
    client.close();
  }
}

function accessOptions({ target, password, address }: FtpAccess): Parameters<Client['access']>[0] {
  const { host, port, username, kind, ca, implicit } = target;
  const secureOptions: ConnectionOptions = {
    host,
    // TLS from the first byte connects by these options: to the address that was checked, not to what the name means by now.
    ...(address === null ? {} : { lookup: (_host, _options, callback) => callback(null, address, isIP(address)) }),
    ...(isIP(host) === 0 ? { servername: host } : {}),
    ...(ca === null ? {} : { ca }),
  };
  const secure = kind === 'ftps' && (implicit ? 'implicit' : true);
  const given = password === '' && isAnonymous(username) ? NO_PASSWORD : password;
  return { host: address ?? host, port, user: username, password: given, secure, secureOptions };
}

/** EPSV, which names no address; PASV where the server does not know it, with the address of its reply left aside. */
async function enterPassiveMode(ftp: FTPContext): Promise<FTPResponse> {
  const extended = await enterPassiveModeIPv6(ftp).catch(asError);
  if (!(extended instanceof Error)) return extended;
  const host = ftp.socket.remoteAddress;
  if (ftp.closed || host === undefined) throw extended;
  const reply = await ftp.request('PASV');
  await connectForPassiveTransfer(host, parsePasvResponse(reply.message).port, ftp);
  return reply;
}

/**
 * A data connection that breaks ends the transfer, not the control connection as the library has it: the server says there what was wrong.
 * The library's own listeners are the last that were added.
 */
function keepsControl({ dataSocket }: FTPContext): void {
  for (const event of ['error', 'close'] as const) {
    const last = dataSocket?.listeners(event).at(-1);
    if (last) dataSocket?.removeListener(event, last as () => void);
  }
  dataSocket?.on('error', () => {});
}

/** False when there is no such folder. */
async function enters(client: Client, directory: string): Promise<boolean> {
  try {
    await client.cd(directory);
    return true;
  } catch (error) {
    if (error instanceof FTPError) return false;
    throw error;
  }
}

/** What deliveries ask of a server, in its own words where it refuses. */
export class FtpSession {
  readonly client: Client;
  #refusal: FTPError | null = null;
  #refused: (() => void) | null = null;

  constructor(client: Client) {
    this.client = client;
    client.ftp.socket.on('data', (text: string) => {
      const [line, code] = /^([45]\d\d) .*/m.exec(text) ?? [];
      if (line === undefined) return;
      this.#refusal = new FTPError({ code: Number(code), message: line });
      this.#refused?.();
    });
  }

  /** Size of a file; null if it does not exist; undefined if the server cannot tell. */
  async size(name: string): Promise<number | null | undefined> {
    try {
      return await this.client.size(name);
    } catch (error) {
      if (this.client.closed || !(error instanceof FTPError)) throw error;
      return error.code === 550 ? null : undefined;
    }
  }

  async isFolder(name: string): Promise<boolean> {
    const here = await this.client.pwd();
    if (!(await enters(this.client, name))) return false;
    await this.client.cd(here);
    return true;
  }

  /** Names in the folder, of which a pattern may choose; null when the server refuses. */
  async names(pattern = ''): Promise<Set<string> | null> {
    try {
      const list = await this.client.list(pattern);
      return new Set(list.map(({ name }) => name.slice(name.lastIndexOf('/') + 1)));
    } catch (error) {
      if (this.client.closed || !(error instanceof FTPError)) throw error;
      return null;
    }
  }

  /** False when the server refuses. */
  async allows(command: string): Promise<boolean> {
    try {
      await this.client.send(command);
      return true;
    } catch (error) {
      if (this.client.closed || !(error instanceof FTPError)) throw error;
      return false;
    }
  }

  /** Runs a transfer. Of one that broke, the reply of the server says more than the state of a socket. */
  async transfer(work: () => Promise<unknown>): Promise<void> {
    this.#refusal = null;
    try {
      await work();
    } catch (error) {
      if (error instanceof FTPError) throw error;
      throw (await this.#lastWords()) ?? error;
    }
  }

  async #lastWords(): Promise<FTPError | null> {
    if (this.#refusal !== null || this.client.closed) return this.#refusal;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, LAST_WORDS_MS);
      this.#refused = () => {
        clearTimeout(timer);
        resolve();
      };
      this.client.ftp.socket.once('close', this.#refused);
    });
    return this.#refusal;
  }
}
