/**
 * Restricts outgoing connections to addresses of the public internet. A name is resolved once, and the connection goes to the address that
 * was checked, so that a name server cannot give a different address to the connection than to the check.
 */
import { lookup } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import ipaddr from 'ipaddr.js';
import { LadingError } from '../errors.ts';
import { DEFAULT_TENANT } from '../identity/rights/policy.ts';

/** Global unicast addresses of IPv6 (RFC 4291 §2.4). */
const GLOBAL_UNICAST: [ipaddr.IPv6, number] = [ipaddr.IPv6.parse('2000::'), 3];

/** False for loopback, private, link-local and other special addresses, in any notation. */
export function isPublicAddress(address: string): boolean {
  if (isIP(address) === 0) return false;
  // Converts IPv4-mapped IPv6 addresses to IPv4.
  const parsed = ipaddr.process(address);
  if (parsed.range() !== 'unicast') return false;
  return parsed instanceof ipaddr.IPv4 || parsed.match(...GLOBAL_UNICAST);
}

/** Removes the brackets of an IPv6 address in a URL. */
function withoutBrackets(hostname: string): string {
  return hostname.replace(/^\[|\]$/g, '');
}

/**
 * Checks and parses the URL of a webhook. The addresses of its host are checked when a connection is made.
 * @throws LadingError `invalid_request`
 */
export function checkWebhookUrl(text: string, allowPrivate: boolean): URL {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw new LadingError(
      'invalid_request',
      'The URL of the webhook is invalid. Use one such as https://example.org/hook.',
    );
  }
  if (url.protocol !== 'https:' && !(allowPrivate && url.protocol === 'http:')) {
    throw new LadingError(
      'invalid_request',
      'The URL of a webhook must start with https. LADING_WEBHOOK_PRIVATE=on allows http, for services on your own network.',
    );
  }
  if (url.username !== '' || url.password !== '') {
    throw new LadingError(
      'invalid_request',
      'The URL of a webhook must not contain a user name or password. The signature of each message proves its origin.',
    );
  }
  if (!allowPrivate) checkPublicHost(withoutBrackets(url.hostname));
  return url;
}

/**
 * True if the targets of a tenant may be on private networks: for the default tenant, whose administrators run the server, and with
 * LADING_WEBHOOK_PRIVATE=on for all. Administrators of other tenants could explore the network of the server otherwise.
 */
export function mayBePrivate(tenant: string, allowPrivate: boolean): boolean {
  return allowPrivate || tenant === DEFAULT_TENANT;
}

/** Names of the local host and of private networks (RFC 6761, RFC 6762, RFC 8375). */
const PRIVATE_NAME = /(^|\.)(localhost|localdomain|local|internal|home\.arpa)\.*$/i;

/**
 * Refuses private names and addresses. Names are not resolved.
 * @param host in any notation that resolvers accept; `0x7f.1` and `2130706433` are 127.0.0.1
 * @throws LadingError `invalid_request`
 */
export function checkPublicHost(host: string): void {
  const url = `http://${host.includes(':') ? `[${withoutBrackets(host)}]` : host}/`;
  if (!URL.canParse(url)) throw notPublic();
  const normalised = withoutBrackets(new URL(url).hostname);
  const isPublic = isIP(normalised) === 0 ? !PRIVATE_NAME.test(normalised) : isPublicAddress(normalised);
  if (!isPublic) throw notPublic();
}

/**
 * Resolves a host to an address to connect to.
 * @throws LadingError `invalid_request` if one of its addresses is not public; Error of the resolver
 */
export function publicAddressOf(host: string, resolve: typeof lookup = lookup): Promise<string> {
  return new Promise((done, fail) => {
    publicLookup(resolve)(host, { all: false }, (error, address) => {
      if (error) fail(error);
      else done(String(address));
    });
  });
}

function notPublic(): LadingError {
  return new LadingError(
    'invalid_request',
    'This address is not on the public internet. LADING_WEBHOOK_PRIVATE=on allows deliveries to your own network.',
  );
}

/** A replacement of `dns.lookup` that fails if one of the addresses of a name is not public. */
export function publicLookup(resolve: typeof lookup = lookup): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname, { ...options, all: true }, (error, found) => {
      const addresses = [found ?? []].flat();
      const publicAddresses = addresses.filter(({ address }) => isPublicAddress(address));
      const first = publicAddresses[0];
      if (error) callback(error, '', 0);
      // A name with public and private addresses is probably an attack.
      else if (first === undefined || publicAddresses.length < addresses.length) callback(notPublic(), '', 0);
      else if (options.all) callback(null, publicAddresses);
      else callback(null, first.address, first.family);
    });
  };
}
