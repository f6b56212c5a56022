/** Connections through a SOCKS proxy, version 5 (RFC 1928, RFC 1929) or 4, by the scheme of its URL. */
import { lookup } from 'node:dns/promises';
import { isIP, type Socket } from 'node:net';
import { SocksClient } from 'socks';
import { buildConnector } from 'undici';
import { NetworkError } from './failures.ts';

type Connector = buildConnector.connector;

interface Target {
  host: string;
  port: number;
}

/** Schemes with their version, and whether the client resolves the host name. As in curl; desktops use `socks:` for version 5. */
const SCHEMES: Readonly<Record<string, { type: 4 | 5; resolvesLocally: boolean }>> = {
  'socks:': { type: 5, resolvesLocally: false },
  'socks5:': { type: 5, resolvesLocally: true },
  'socks5h:': { type: 5, resolvesLocally: false },
  'socks4:': { type: 4, resolvesLocally: true },
  'socks4a:': { type: 4, resolvesLocally: false },
};

const DEFAULT_PORT = 1080;

/** Refusals by the error message of the library: whether they are final, and what to report. */
const REFUSALS: readonly [words: RegExp, final: boolean, sentence: string][] = [
  [
    /no accepted authentication type|authentication failed/i,
    true,
    'it requires a valid name and password. Add them to the proxy variable: socks5://NAME:PASSWORD@HOST:PORT',
  ],
  [/rejected connection - NotAllowed/, true, 'its rules forbid it. To bypass the proxy, add the server to NO_PROXY'],
  [/rejected connection - ConnectionRefused/, false, 'the server refused its connection'],
  [/rejected connection - (NetworkUnreachable|HostUnreachable|TTLExpired)/, false, 'it cannot reach the server'],
  [/rejected connection/i, false, 'it could not connect to the server'],
  [
    /invalid socks version|invalid Socks[45] .*handshake/i,
    true,
    'it does not support this version of SOCKS. Check its address and scheme',
  ],
  [/timed out/, false, 'it did not answer in time'],
  [/closed/i, false, 'it closed the connection'],
];

/** True for the URL of a SOCKS proxy. */
export function isSocks({ protocol }: URL): boolean {
  return protocol in SCHEMES;
}

/**
 * Creates an undici connector through `proxy`. `tls` applies to the connection to the server, never to the proxy. Fails with a
 * `NetworkError` for a refusal of the proxy, or a system error when the proxy cannot be reached.
 */
export function socksConnector(proxy: URL, tls: buildConnector.BuildOptions & { timeout: number }): Connector {
  const toProxy = buildConnector({ timeout: tls.timeout });
  const toServer = buildConnector(tls);
  return (options, callback) => {
    const port = Number(options.port) || (options.protocol === 'https:' ? 443 : 80);
    const target = { host: options.hostname.replace(/^\[|\]$/g, ''), port };
    tunnel(proxy, target, toProxy, tls.timeout).then(
      (socket) =>
        options.protocol === 'https:' ? toServer({ ...options, httpSocket: socket }, callback) : callback(null, socket),
      (error: unknown) => callback(error instanceof Error ? error : new Error(String(error)), null),
    );
  };
}

async function tunnel(proxy: URL, target: Target, toProxy: Connector, timeout: number): Promise<Socket> {
  const { type = 5, resolvesLocally = true } = SCHEMES[proxy.protocol] ?? {};
  const family = type === 4 ? { family: 4 } : {};
  const host = resolvesLocally && isIP(target.host) === 0 ? (await lookup(target.host, family)).address : target.host;
  const hostname = proxy.hostname.replace(/^\[|\]$/g, '');
  const port = Number(proxy.port) || DEFAULT_PORT;
  const socket = await new Promise<Socket>((resolve, reject) => {
    toProxy({ hostname, host: hostname, port: String(port), protocol: 'http:' }, (error, connected) =>
      error === null ? resolve(connected) : reject(error),
    );
  });
  const [userId, password] = [proxy.username, proxy.password].map(decodeURIComponent);
  const named = userId ? { userId, ...(password ? { password } : {}) } : {};
  try {
    const connection = await SocksClient.createConnection({
      proxy: { host: hostname, port, type, ...named },
      destination: { host, port: target.port },
      command: 'connect',
      existing_socket: socket,
      timeout,
    });
    return connection.socket;
  } catch (error) {
    socket.destroy();
    throw refusedBy(proxy, error);
  }
}

function refusedBy(proxy: URL, error: unknown): NetworkError {
  const message = error instanceof Error ? error.message : String(error);
  const [, final, sentence] = REFUSALS.find(([words]) => words.test(message)) ?? [null, false, message];
  return new NetworkError(`The proxy ${proxy.host} refused the connection: ${sentence}.`, { cause: error, final });
}
