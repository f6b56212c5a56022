/**
 * Selects the proxy for a request, by the variables of curl: `HTTPS_PROXY` or `HTTP_PROXY`, else `ALL_PROXY`, and `NO_PROXY` for hosts
 * that are reached directly. Lowercase names take precedence. An empty variable counts as unset.
 */
import { BlockList, isIP } from 'node:net';
import { NetworkError } from './failures.ts';

type Environment = Readonly<Record<string, string | undefined>>;

const SCHEMES = /^(https?|socks|socks4a?|socks5h?):$/;

/** The proxy for a URL, or null. Throws a final `NetworkError` when the variable holds no usable proxy. */
export function proxyFor(url: URL, env: Environment): URL | null {
  const ofScheme = url.protocol === 'https:' ? 'https_proxy' : 'http_proxy';
  const name = [ofScheme, ofScheme.toUpperCase(), 'all_proxy', 'ALL_PROXY'].find((variable) => env[variable]);
  const value = name === undefined ? undefined : env[name];
  if (name === undefined || value === undefined) return null;
  if (isExempt(url, env.no_proxy || env.NO_PROXY || '')) return null;
  const proxy = parse(/^[a-z][a-z0-9+.-]*:\/\//i.test(value) ? value : `http://${value}`);
  if (proxy === null || !SCHEMES.test(proxy.protocol)) {
    throw new NetworkError(`${name} is not a valid proxy address. Use http://proxy.example.org:3128 or socks5://…`, {
      final: true,
    });
  }
  // Like curl: a percent sign that begins no escape is literal.
  proxy.username = decodable(proxy.username);
  proxy.password = decodable(proxy.password);
  return proxy;
}

function decodable(text: string): string {
  try {
    decodeURIComponent(text);
    return text;
  } catch {
    return text.replaceAll('%', '%25');
  }
}

/** `Proxy-Authorization` for the name and password in the URL of a proxy; null without a name. */
export function authorizationOf({ username, password }: URL): string | null {
  if (username === '') return null;
  const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return `Basic ${Buffer.from(pair).toString('base64')}`;
}

function parse(text: string): URL | null {
  return URL.canParse(text) ? new URL(text) : null;
}

/** Matches `NO_PROXY`: `example.org` with its subdomains, `host:8005` one port, `10.0.0.0/8` a network, `*` all hosts. */
function isExempt(url: URL, list: string): boolean {
  const host = bare(url.hostname);
  const port = url.port || (url.protocol === 'https:' ? '443' : '80');
  return list.split(/[,\s]+/).some((entry) => {
    if (entry === '') return false;
    if (entry === '*') return true;
    if (isIP(host) !== 0 && entry.includes('/')) return isInside(host, entry);
    const [, named = entry, only] = /^(\[[^\]]*\]|[^:]*):(\d+)$/.exec(entry) ?? [];
    if (only !== undefined && only !== port) return false;
    const wanted = bare(named).replace(/^\*?\./, '');
    return host === wanted || (isIP(host) === 0 && host.endsWith(`.${wanted}`));
  });
}

function bare(host: string): string {
  return host
    .toLowerCase()
    .replace(/^\[|\]$/g, '')
    .replace(/\.$/, '');
}

function isInside(host: string, network: string): boolean {
  const [address = '', bits = ''] = network.split('/');
  const family = isIP(bare(address)) === 6 ? 'ipv6' : 'ipv4';
  if (isIP(bare(address)) === 0 || !/^\d{1,3}$/.test(bits) || Number(bits) > (family === 'ipv6' ? 128 : 32))
    return false;
  const list = new BlockList();
  list.addSubnet(bare(address), Number(bits), family);
  return list.check(host, isIP(host) === 6 ? 'ipv6' : 'ipv4');
}
