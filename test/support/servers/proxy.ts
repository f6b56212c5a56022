/** A TCP proxy that breaks connections on purpose: real sockets, real resets. */
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { TestContext } from 'node:test';

/** What happens to one connection; without any of these it is only passed on. */
export interface Rule {
  /** Reset both sides once so many bytes went to the server. */
  cutAfterSent?: number;
  /** Reset both sides once so many bytes came from the server; 0: the request arrives and the reply is lost. */
  cutAfterReceived?: number;
  /** Pass on no more than so many bytes to the server, and keep the connection open: the rest is lost in silence. */
  stallAfterSent?: number;
  /** The same towards the client. */
  stallAfterReceived?: number;
  /** Reset the connection at once. */
  refuse?: boolean;
}

export interface Proxy {
  origin: string;
  /** Decides for each new connection, numbered from 1. */
  rule: (connection: number) => Rule;
  /** Where connections go; may change when a server comes back on another port. */
  target: number;
  /** Connections so far. */
  connections: number;
  /** Connections that a rule cut. */
  cuts: number;
  /** Bytes that went to the server and came from it. */
  sent: number;
  received: number;
  /** Resets all connections of now. */
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
  const most = Math.min(limits.cut ?? Number.POSITIVE_INFINITY, limits.stall ?? Number.POSITIVE_INFINITY);
  from.on('data', (bytes: Buffer) => {
    const part = bytes.subarray(0, Math.max(0, most - passed));
    passed += part.length;
    count(part.length);
    if (part.length > 0 && !to.write(part)) {
      from.pause();
      to.once('drain', () => from.resume());
    }
    // A stalled side goes on being read, so that its end is noticed; what it says is lost.
    if (passed < most || limits.stall !== undefined) return;
    // What was passed on must be on its way before the reset throws it away.
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
