/** A TCP proxy that breaks connections on purpose: real sockets, real resets. */
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { TestContext } from 'node:test';

/** The faults of one connection. An empty rule forwards everything. */
export interface Rule {
  /** Resets both sides after this number of bytes to the server. */
  cutAfterSent?: number;
  /** Resets both sides after this number of bytes from the server; with 0 the request arrives and the reply is lost. */
  cutAfterReceived?: number;
  /** Forwards only this number of bytes to the server, drops the rest, and keeps the connection open. */
  stallAfterSent?: number;
  /** Does the same towards the client. */
  stallAfterReceived?: number;
  /** Resets the connection at once. */
  refuse?: boolean;
}

export interface Proxy {
  origin: string;
  /** Returns the rule of a new connection. Connections are numbered from 1. */
  rule: (connection: number) => Rule;
  /** The port of the server; may change when the server restarts. */
  target: number;
  /** The number of connections so far. */
  connections: number;
  /** The number of connections that a rule broke. */
  cuts: number;
  /** The numbers of bytes to and from the server. */
  sent: number;
  received: number;
  /** Resets all open connections. */
  sever(): void;
}

export async function startProxy(t: TestContext, target: number, rule: Proxy['rule'] = () => ({})): Promise<Proxy> {
  const open = new Set<Socket>();
  const server = createServer({ pauseOnConnect: true });
  const proxy: Proxy = {
    origin: '',
    rule,
    target,
    connections: 0,
    cuts: 0,
    sent: 0,
    received: 0,
    sever: () => {
      for (const socket of open) socket.resetAndDestroy();
    },
  };
  server.on('connection', (client) => {
    proxy.connections += 1;
    join(proxy, client, proxy.rule(proxy.connections), open);
  });
  const port = await listen(server);
  proxy.origin = `http://127.0.0.1:${port}`;
  t.after(async () => {
    proxy.sever();
    await new Promise((resolve) => server.close(resolve));
  });
  return proxy;
}

function join(proxy: Proxy, client: Socket, rule: Rule, open: Set<Socket>): void {
  const upstream = connect(proxy.target, '127.0.0.1');
  const end = () => {
    client.resetAndDestroy();
    upstream.resetAndDestroy();
  };
  const cut = () => {
    proxy.cuts += 1;
    end();
  };
  for (const socket of [client, upstream]) {
    open.add(socket);
    socket.on('error', end);
    socket.on('close', () => {
      open.delete(socket);
      end();
    });
  }
  if (rule.refuse) {
    cut();
    return;
  }
  pass(client, upstream, { cut: rule.cutAfterSent, stall: rule.stallAfterSent }, cut, (bytes) => {
    proxy.sent += bytes;
  });
  pass(upstream, client, { cut: rule.cutAfterReceived, stall: rule.stallAfterReceived }, cut, (bytes) => {
    proxy.received += bytes;
  });
  client.resume();
}

interface Limits {
  cut: number | undefined;
  stall: number | undefined;
}

function pass(from: Socket, to: Socket, limits: Limits, cut: () => void, count: (bytes: number) => void): void {
  let passed = 0;
  const max = Math.min(limits.cut ?? Number.POSITIVE_INFINITY, limits.stall ?? Number.POSITIVE_INFINITY);
  from.on('data', (bytes: Buffer) => {
    const part = bytes.subarray(0, Math.max(0, max - passed));
    passed += part.length;
    count(part.length);
    if (part.length > 0 && !to.write(part)) {
      from.pause();
      to.once('drain', () => from.resume());
    }
    // A stalled side is still read, so that its end is noticed; the bytes are dropped.
    if (passed < max || limits.stall !== undefined) return;
    // Forwarded bytes must be sent before the reset discards them.
    setImmediate(() => to.write('', cut));
  });
  from.on('end', () => to.end());
}

function listen(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      if (typeof address === 'object' && address !== null) resolve(address.port);
    });
  });
}
