/** Counters of a socket that node keeps in its handle and does not publish. */
import type { Socket } from 'node:net';

/** All counts are bytes. */
export interface SocketHandle {
  bytesWritten?: number;
  bytesRead?: number;
  /** Bytes that node has given to the handle and the system has not taken yet. */
  writeQueueSize?: number;
  readStart?(): number;
}

/** The handle of a socket; null if the socket is closed. */
export function handleOf(socket: Socket): SocketHandle | null {
  return (socket as Socket & { _handle?: SocketHandle | null })._handle ?? null;
}
