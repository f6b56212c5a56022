/**
 * Finds the client of a request behind proxies, and the URL of the server that it used. Only values from trusted proxies count.
 *
 *     client 203.0.113.7 → edge 10.0.0.2 → inner 10.0.0.1 → server
 *
 *     X-Forwarded-For:   forged, 203.0.113.7, 10.0.0.2        from the right: the first address that is not a trusted proxy
 *     X-Forwarded-Proto: https, http                          the value of the outermost trusted proxy
 *     X-Forwarded-Port:  8443                                 the same, if the host has no port
 *
 * `Forwarded` (RFC 7239) is read only without `X-Forwarded-For`, because a proxy that writes the latter may pass on a forged `Forwarded` of
 * its client.
 */
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { BlockList, isIPv6 } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { isPrefix } from '../../protocol/http/path-prefix.ts';
import { addressOfNode, plainRange } from '../../protocol/ip.ts';
import { carrierOf } from '../connection/carrier.ts';
import { isHost } from '../request/target.ts';
import { type Element, parseForwarded } from './forwarded.ts';

/** Limit of the chain of proxies. */
const MAX_HOPS = 32;

/** Fields that only proxies send. */
const FORWARDING = [
  'forwarded',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
  'x-forwarded-port',
  'x-forwarded-prefix',
  'x-forwarded-server',
  'x-real-ip',
  'x-client-ip',
  'true-client-ip',
  'cf-connecting-ip',
  'via',
];

/** The ranges of the names in `LADING_TRUST_PROXY`. */
const NAMED: Record<string, readonly string[]> = {
  loopback: ['127.0.0.0/8', '::1/128'],
  linklocal: ['169.254.0.0/16', 'fe80::/10'],
  uniquelocal: ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7'],
};

/** The client of a request, and the URL of the server as the client sees it. */
export interface Peer {
  /** In the form of `addressOfNode`; empty if the connection was closed before the address was read. */
  address: string;
  /** False if `address` is that of a proxy because no trusted proxy reports the client. */
  isClient: boolean;
  protocol: 'http' | 'https';
  /** Host and port; empty if the request has no host. */
  host: string;
  /** The path that the proxy adds, `/drive` for example, or empty. */
  prefix: string;
}

/** Reads the fields of trusted proxies. */
export class Proxies {
  readonly #trusted = new BlockList();
  readonly #any: boolean;
  readonly #peers = new WeakMap<IncomingMessage, Peer>();

  /** @param list addresses, CIDR ranges, `loopback`, `linklocal`, `uniquelocal` */
  constructor(list: readonly string[]) {
    this.#any = list.length > 0;
    for (const range of list.flatMap((part) => NAMED[part] ?? [part])) {
      const [given = '', bits] = plainRange(range).split('/');
      const address = bits === undefined ? (addressOfNode(given) ?? given) : given;
      const family = isIPv6(address) ? 'ipv6' : 'ipv4';
      if (bits === undefined) this.#trusted.addAddress(address, family);
      else this.#trusted.addSubnet(address, Number(bits), family);
    }
  }

  /** The peer of a request, read once. Call it first while the connection is open. */
  peerOf(message: IncomingMessage): Peer {
    const known = this.#peers.get(message);
    if (known) return known;
    const peer = this.#read(message);
    this.#peers.set(message, peer);
    return peer;
  }

  #read(message: IncomingMessage): Peer {
    const { headers, socket } = message;
    const remote = (socket && carrierOf(socket).remoteAddress) ?? '';
    const address = addressOfNode(remote) ?? remote;
    const direct: Peer = {
      address,
      isClient: FORWARDING.every((name) => headers[name] === undefined),
      protocol: (socket as TLSSocket | undefined)?.encrypted === true ? 'https' : 'http',
      host: headers.host ?? textOf(headers[':authority']),
      prefix: '',
    };
    return this.trusts(address) ? this.#behind(direct, chainOf(headers)) : direct;
  }

  /** True for the address of a trusted proxy. @param address in the form of `addressOfNode` */
  trusts(address: string): boolean {
    return this.#any && address !== '' && this.#trusted.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');
  }

  #behind(direct: Peer, { nodes, protos, hosts, ports, prefixes }: Chain): Peer {
    let { address, isClient } = direct;
    let hops = 0;
    // The first address that is not trusted is the client. If a proxy does not report an address, the proxy itself counts.
    while (hops < Math.min(nodes.length, MAX_HOPS) && this.trusts(address)) {
      hops += 1;
      const next = addressOfNode(nodes[nodes.length - hops] ?? '');
      isClient = next !== null;
      if (next === null) break;
      address = next;
    }
    const written = <T>(values: readonly T[]): readonly T[] => (nodes.length === 0 ? values : values.slice(-hops));
    const protocol = written(protos).find((value) => /^https?$/i.test(value));
    const host = written(hosts).find(isHost);
    const prefix = written(prefixes).filter(isPrefix).join('');
    const port = written(ports).find((value) => /^\d{1,5}$/.test(value));
    const seen = protocol === undefined ? direct.protocol : protocol.toLowerCase() === 'https' ? 'https' : 'http';
    return {
      address,
      isClient,
      protocol: seen,
      host: withPort(host ?? direct.host, seen, Number(port ?? 0)),
      prefix: isPrefix(prefix) ? prefix : '',
    };
  }
}

/** The values of proxies, those of the outermost first. */
interface Chain {
  nodes: readonly string[];
  protos: readonly string[];
  hosts: readonly string[];
  ports: readonly string[];
  prefixes: readonly string[];
}

function chainOf(headers: IncomingHttpHeaders): Chain {
  const prefixes = listOf(headers['x-forwarded-prefix']).map((value) => value.replace(/\/$/, ''));
  const ports = listOf(headers['x-forwarded-port']);
  const { forwarded } = headers;
  if (forwarded !== undefined && headers['x-forwarded-for'] === undefined) {
    const elements = parseForwarded(forwarded);
    const valuesOf = (name: keyof Element): string[] => elements.map((element) => element[name] ?? '');
    return { nodes: valuesOf('for'), protos: valuesOf('proto'), hosts: valuesOf('host'), ports, prefixes };
  }
  return {
    nodes: listOf(headers['x-forwarded-for']),
    protos: listOf(headers['x-forwarded-proto']),
    hosts: listOf(headers['x-forwarded-host']),
    ports,
    prefixes,
  };
}

/** Adds the port that a proxy reports, for a `Host` without one (nginx: `$host`). */
function withPort(host: string, protocol: Peer['protocol'], port: number): string {
  const usual = protocol === 'https' ? 443 : 80;
  if (host === '' || /:\d*$/.test(host) || port === usual || port < 1 || port > 65_535) return host;
  return `${host}:${port}`;
}

/** The last values of a list, up to the limit of hops. */
function listOf(field: string | string[] | undefined): string[] {
  const text = textOf(field);
  if (text === '') return [];
  const values: string[] = [];
  for (let end = text.length; end >= 0 && values.length < MAX_HOPS; ) {
    const comma = end === 0 ? -1 : text.lastIndexOf(',', end - 1);
    values.unshift(text.slice(comma + 1, end).trim());
    end = comma;
  }
  return values;
}

function textOf(field: string | string[] | undefined): string {
  return Array.isArray(field) ? field.join(',') : (field ?? '');
}
