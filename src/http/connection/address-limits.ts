/**
 * How many connections one address may hold, and how many requests may be under way for it: HTTP/2 has many over one connection, and
 * a proxy those of many clients. A share of the descriptors stays free for everybody else.
 */
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';
import { LadingError } from '../../errors.ts';
import { addressOfNode, networkOf } from '../../protocol/ip.ts';

export interface CrowdOptions {
  most: number;
  /** True for a proxy, which is not one client but many. */
  isProxy(address: string): boolean;
  /** A connection was closed because there were too many of this address. */
  refused(address: string): void;
}

class Counts {
  readonly #most: number;
  readonly #counts = new Map<string, number>();

  constructor(most: number) {
    this.#most = most;
  }

  /** False when there are so many already. */
  enter(key: string): boolean {
    const count = this.#counts.get(key) ?? 0;
    if (count >= this.#most) return false;
    this.#counts.set(key, count + 1);
    return true;
  }

  leave(key: string): void {
    const left = (this.#counts.get(key) ?? 1) - 1;
    if (left === 0) this.#counts.delete(key);
    else this.#counts.set(key, left);
  }
}

/** Closes connections beyond the bound as soon as they are made. */
export function limitConnections(server: Server, { most, isProxy, refused }: CrowdOptions): void {
  const counts = new Counts(most);
  server.on('connection', (socket: Socket) => {
    const address = addressOfNode(socket.remoteAddress ?? '');
    if (address === null || isProxy(address)) return;
    const key = networkOf(address);
    if (!counts.enter(key)) {
      socket.resetAndDestroy();
      refused(key);
      return;
    }
    socket.once('close', () => counts.leave(key));
  });
}

/** Refuses requests beyond the bound. To be called before routes are made. */
export function limitRequests(app: FastifyInstance, { most, isProxy }: Pick<CrowdOptions, 'most' | 'isProxy'>): void {
  const counts = new Counts(most);
  app.addHook('onRequest', (request, reply, next) => {
    if (isProxy(request.ip)) return next();
    const key = networkOf(request.ip);
    if (!counts.enter(key)) {
      return next(
        new LadingError(
          'overloaded',
          'Too many requests from your address are running; wait for some of them to finish.',
          {
            retry_after: 5,
          },
        ),
      );
    }
    reply.raw.once('close', () => counts.leave(key));
    next();
  });
}
