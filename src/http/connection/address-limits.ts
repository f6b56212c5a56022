/**
 * Limits the open connections and the running requests of one address, so that descriptors remain for others. Requests need their own
 * limit, because HTTP/2 carries many over one connection.
 */
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';
import { LadingError } from '../../errors.ts';
import { addressOfNode, networkOf } from '../../protocol/ip.ts';

/** The limit of one address. */
export interface AddressLimit {
  /** Maximum number of open connections, or of running requests. */
  max: number;
  /** True for a proxy, which has many clients and no limit. */
  isProxy(address: string): boolean;
  /** Called when a connection is closed because its address has too many. */
  onRefused(address: string): void;
}

class Counts {
  readonly #max: number;
  readonly #counts = new Map<string, number>();

  constructor(max: number) {
    this.#max = max;
  }

  /** Counts one more; false if the limit is reached. */
  enter(key: string): boolean {
    const count = this.#counts.get(key) ?? 0;
    if (count >= this.#max) return false;
    this.#counts.set(key, count + 1);
    return true;
  }

  leave(key: string): void {
    const left = (this.#counts.get(key) ?? 1) - 1;
    if (left === 0) this.#counts.delete(key);
    else this.#counts.set(key, left);
  }
}

/** Closes connections above the limit as soon as they open. */
export function limitConnections(server: Server, { max, isProxy, onRefused }: AddressLimit): void {
  const counts = new Counts(max);
  server.on('connection', (socket: Socket) => {
    const address = addressOfNode(socket.remoteAddress ?? '');
    if (address === null || isProxy(address)) return;
    const key = networkOf(address);
    if (!counts.enter(key)) {
      socket.resetAndDestroy();
      onRefused(key);
      return;
    }
    socket.once('close', () => counts.leave(key));
  });
}

/** Refuses requests above the limit with `overloaded`. Call it before routes are registered. */
export function limitRequests(app: FastifyInstance, { max, isProxy }: Pick<AddressLimit, 'max' | 'isProxy'>): void {
  const counts = new Counts(max);
  app.addHook('onRequest', (request, reply, next) => {
    if (isProxy(request.ip)) return next();
    const key = networkOf(request.ip);
    if (!counts.enter(key)) {
      return next(
        new LadingError(
          'overloaded',
          'Too many requests from your address are running. Wait until some of them finish.',
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
