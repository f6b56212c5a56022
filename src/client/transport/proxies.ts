/**
 * Which proxy a request goes through, by the variables that curl and others know: `HTTPS_PROXY`, `HTTP_PROXY`, else `ALL_PROXY`, and
 * `NO_PROXY` for hosts that are asked directly. In lower case they count first; an empty one counts as absent.
 */
import { BlockList, isIP } from 'node:net';
import { NetworkError } from './failures.ts';

type Environment = Readonly<Record<string, string | undefined>>;

const SCHEMES = /^(https?|socks|socks4a?|socks5h?):$/;

/** The proxy for an address, null for none. Throws a final `NetworkError` when the variable names none that can be used. */
export function proxyFor(url: URL, env: Environment): URL | null {
  const ofScheme = url.protocol === 'https:' ? 'https_proxy' : 'http_proxy';
  const name = [ofScheme, ofScheme.toUpperCase(), 'all_proxy', 'ALL_PROXY'].find((variable) => env[variable]);
  const value = name === undefined ? undefined : env[name];
  if (name === undefined || value === undefined) return null;
  if (isExempt(url, env.no_proxy || env.NO_PROXY || '')) return null;
  const proxy = parse(/^[a-z][a-z0-9+.-]*:\/\//i.test(value) ? value : `http://${value}`);
  if (proxy === null || !SCHEMES.test(proxy.protocol)) {
    throw new NetworkError(
      `${name} names no proxy that can be used. Write something like http://proxy.example.org:3128, or socks5://…`,
      { final: true },
    );
  }
  // As curl has it, a percent sign that begins no escape stands for itself.
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

/** `Proxy-Authorization` for the name and password in the address of a proxy, null without. */
export function authorizationOf({ username, password }: URL): string | null {
  if (username === '') return null;
  const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return `Basic ${Buffer.from(pair).toString('base64')}`;
}

function parse(text: string): URL | null {
  return URL.canParse(text) ? new URL(text) : null;
}

/** `example.org` means its subdomains too, `host:8005` one port, `10.0.0.0/8` a network, `*` everything. */
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
