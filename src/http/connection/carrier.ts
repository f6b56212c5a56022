/** Finds the TCP connection below a TLS connection. */
import type { Socket } from 'node:net';

/**
 * The TCP connection of a TLS connection, or the TCP connection itself. Node has no public API for it. Read the address of the client from
 * it: the listener read it there while the client was connected, and a TLS connection that is reset during its handshake has none. Address
 * and port do not identify a connection, because another client may reuse the port.
 */
export function carrierOf(socket: Socket): Socket {
  return (socket as Socket & { _parent?: Socket | null })._parent ?? socket;
}
