/** Connections to FTP and FTPS servers. */
import { isIP } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { Client, enterPassiveModeIPv6, type FTPContext, FTPError, type FTPResponse } from 'basic-ftp';
import { connectForPassiveTransfer, parsePasvResponse } from 'basic-ftp/dist/transfer.js';
import type { FtpTargetDocument } from '../../records/delivery.ts';
import { asError, attributeToTarget } from './failures.ts';

/** Timeout of the connection without any activity. */
const IDLE_MS = 60_000;
/** How long to wait for the reply of the server after a data connection broke. */
const FINAL_REPLY_MS = 2_000;

/** The password for anonymous accounts. Some servers refuse an empty password, or one that is not an e-mail address. */
const ANONYMOUS_PASSWORD = 'anonymous@';

/** True for the accounts of anonymous FTP, which need no password (RFC 1635). */
export function isAnonymous(username: string): boolean {
  return /^(anonymous|ftp)$/i.test(username);
}

/** How to connect to a target. */
export interface FtpAccess {
  target: FtpTargetDocument;
  password: string;
  /** Verified address to connect to; null: the host is resolved as usual. */
  address: string | null;
}

/**
 * Connects, signs in, enters the directory of the target and runs `work`. Closes the connection afterwards. Data connections always go to the
 * address of the control connection: a server behind NAT announces a private address, and a hostile server could announce the address of
 * another host.
 * @param createsDirectory false: if the directory does not exist, `work` is not called, and the result is null
 */
export async function withFtp<T>(
  access: FtpAccess,
  signal: AbortSignal,
  createsDirectory: boolean,
  work: (session: FtpSession) => Promise<T>,
): Promise<T | null> {
  const client = new Client(IDLE_MS);
  client.prepareTransfer = async (ftp) => {
    const reply = await enterPassiveMode(ftp);
    keepControlConnection(ftp);
    return reply;
  };
  const close = (): void => client.close();
  signal.addEventListener('abort', close, { once: true });
  try {
    signal.throwIfAborted();
    await attributeToTarget(() => client.access(accessOptions(access)));
    const { directory } = access.target;
    if (directory !== '' && createsDirectory) await attributeToTarget(() => client.ensureDir(directory));
    else if (directory !== '' && !(await changeDirectory(client, directory))) return null;
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
    // Implicit TLS connects with these options. They must use the verified address, because the name may resolve differently by now.
    ...(address === null ? {} : { lookup: (_host, _options, callback) => callback(null, address, isIP(address)) }),
    ...(isIP(host) === 0 ? { servername: host } : {}),
    ...(ca === null ? {} : { ca }),
  };
  const secure = kind === 'ftps' && (implicit ? 'implicit' : true);
  const sentPassword = password === '' && isAnonymous(username) ? ANONYMOUS_PASSWORD : password;
  return { host: address ?? host, port, user: username, password: sentPassword, secure, secureOptions };
}

/** Uses EPSV, which announces no address, or PASV if the server does not support EPSV. Ignores the address in the reply to PASV. */
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
 * Keeps the control connection open when a data connection breaks, because the server reports the reason there. The library would close it.
 * Its listeners are the last ones that were added.
 */
function keepControlConnection({ dataSocket }: FTPContext): void {
  for (const event of ['error', 'close'] as const) {
    const last = dataSocket?.listeners(event).at(-1);
    if (last) dataSocket?.removeListener(event, last as () => void);
  }
  dataSocket?.on('error', () => {});
}

/** False if the directory does not exist. */
async function changeDirectory(client: Client, directory: string): Promise<boolean> {
  try {
    await client.cd(directory);
    return true;
  } catch (error) {
    if (error instanceof FTPError) return false;
    throw error;
  }
}

/** Commands on a connection that is signed in. */
export class FtpSession {
  readonly client: Client;
  /** The last 4xx or 5xx reply. */
  #refusal: FTPError | null = null;
  #onRefusal: (() => void) | null = null;

  constructor(client: Client) {
    this.client = client;
    client.ftp.socket.on('data', (text: string) => {
      const [line, code] = /^([45]\d\d) .*/m.exec(text) ?? [];
      if (line === undefined) return;
      this.#refusal = new FTPError({ code: Number(code), message: line });
      this.#onRefusal?.();
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

  /** True if the name is a directory that can be entered. */
  async isDirectory(name: string): Promise<boolean> {
    const here = await this.client.pwd();
    if (!(await changeDirectory(this.client, name))) return false;
    await this.client.cd(here);
    return true;
  }

  /** Names in the directory that match a pattern; null if the server refuses. */
  async names(pattern = ''): Promise<Set<string> | null> {
    try {
      const list = await this.client.list(pattern);
      return new Set(list.map(({ name }) => name.slice(name.lastIndexOf('/') + 1)));
    } catch (error) {
      if (this.client.closed || !(error instanceof FTPError)) throw error;
      return null;
    }
  }

  /** Sends a command. False if the server refuses it. */
  async trySend(command: string): Promise<boolean> {
    try {
      await this.client.send(command);
      return true;
    } catch (error) {
      if (this.client.closed || !(error instanceof FTPError)) throw error;
      return false;
    }
  }

  /** Runs a transfer. If it breaks, prefers the reply of the server to the error of the socket. */
  async transfer(work: () => Promise<unknown>): Promise<void> {
    this.#refusal = null;
    try {
      await work();
    } catch (error) {
      if (error instanceof FTPError) throw error;
      throw (await this.#finalReply()) ?? error;
    }
  }

  /** The refusal that explains a broken transfer; null if none arrives in time. */
  async #finalReply(): Promise<FTPError | null> {
    if (this.#refusal !== null || this.client.closed) return this.#refusal;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, FINAL_REPLY_MS);
      this.#onRefusal = () => {
        clearTimeout(timer);
        resolve();
      };
      this.client.ftp.socket.once('close', this.#onRefusal);
    });
    return this.#refusal;
  }
}
