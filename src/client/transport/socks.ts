/** Connections through a SOCKS proxy: version 5 (RFC 1928, RFC 1929) and version 4, whichever the scheme of its address says. */
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

/** What each scheme means: the version, and who looks up the name of the server. As curl has it; `socks:` is what desktops write for 5. */
const SCHEMES: Readonly<Record<string, { type: 4 | 5; lookedUpHere: boolean }>> = {
  'socks:': { type: 5, lookedUpHere: false },
  'socks5:': { type: 5, lookedUpHere: true },
  'socks5h:': { type: 5, lookedUpHere: false },
  'socks4:': { type: 4, lookedUpHere: true },
  'socks4a:': { type: 4, lookedUpHere: false },
};

const DEFAULT_PORT = 1080;

/** What the proxy says in words of the library, whether it lasts, and what it means. */
const REFUSALS: readonly [words: RegExp, final: boolean, sentence: string][] = [
  [
    /no accepted authentication type|authentication failed/i,
    true,
    'it wants a name and a password, and takes none but its own. Write them into the variable: socks5://NAME:PASSWORD@HOST:PORT',
  ],
  [
    /rejected connection - NotAllowed/,
    true,
    'its rules forbid the connection. NO_PROXY names hosts that are asked directly',
  ],
  [/rejected connection - ConnectionRefused/, false, 'nothing listens at the address of the server'],
  [/rejected connection - (NetworkUnreachable|HostUnreachable|TTLExpired)/, false, 'it does not reach the server'],
  [/rejected connection/i, false, 'it could not connect to the server'],
  [
    /invalid socks version|invalid Socks[45] .*handshake/i,
    true,
    'it does not speak this version of SOCKS. Check its address and its scheme',
  ],
  [/timed out/, false, 'it did not answer in time'],
  [/closed/i, false, 'it closed the connection'],
];

export function isSocks({ protocol }: URL): boolean {
  return protocol in SCHEMES;
}

/**
 * Makes connections of undici that go through `proxy`; `tls` is used for the connection to a server of TLS, never for that to the proxy.
 * They fail with a `NetworkError` that says what the proxy answered, or with the system's error where the proxy is not reached.
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
  const { type = 5, lookedUpHere = true } = SCHEMES[proxy.protocol] ?? {};
  const family = type === 4 ? { family: 4 } : {};
  const host = lookedUpHere && isIP(target.host) === 0 ? (await lookup(target.host, family)).address : target.host;
  const hostname = proxy.hostname.replace(/^\[|\]$/g, '');
  const port = Number(proxy.port) || DEFAULT_PORT;
  const socket = await new Promise<Socket>((resolve, reject) => {
    toProxy({ hostname, host: hostname, port: String(port), protocol: 'http:' }, (error, made) =>
      error === null ? resolve(made) : reject(error),
    );
  });
  const [userId, password] = [proxy.username, proxy.password].map(decodeURIComponent);
  const named = userId ? { userId, ...(password ? { password } : {}) } : {};
  try {
    const made = await SocksClient.createConnection({
      proxy: { host: hostname, port, type, ...named },
      destination: { host, port: target.port },
      command: 'connect',
      existing_socket: socket,
      timeout,
    });
    return made.socket;
  } catch (error) {
    socket.destroy();
    throw refusedBy(proxy, error);
  }
}

function refusedBy(proxy: URL, error: unknown): NetworkError {
  const said = error instanceof Error ? error.message : String(error);
  const [, final, sentence] = REFUSALS.find(([words]) => words.test(said)) ?? [null, false, said];
  return new NetworkError(`The proxy ${proxy.host} does not let this through: ${sentence}.`, { cause: error, final });
}
