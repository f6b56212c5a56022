/** Settings and requests for the tests of webhooks. */
import type { Delivery, DeliveryPage } from '../../../src/protocol/schemas/delivery.ts';
import type { TestServer } from '../../support/product/server.ts';
import { ALPHABET, put } from '../../support/wire/downloads.ts';

export const SETTINGS = { LADING_WEBHOOK_PRIVATE: 'on', LADING_DELIVERY_RETRY_SECONDS: '1' };

export function store(server: TestServer, name: string): Promise<unknown> {
  return put(server, name, 0, ALPHABET, { total_size: '26' });
}

export async function deliveries({ origin, admin }: TestServer, query: string): Promise<Delivery[]> {
  const reply = await fetch(`${origin}/api/deliveries${query}`, { headers: admin.headers });
  return ((await reply.json()) as DeliveryPage).deliveries;
}
