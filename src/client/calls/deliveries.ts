/** Calls on deliveries and their targets. For administrators. */
import type { Delivery, DeliveryPage, NewTarget, Target, TargetCreated } from '../../protocol/schemas/delivery.ts';
import { type AdminOptions, type JsonRequest, MAX_PAGE, segment } from './json-request.ts';

export interface DeliveryListOptions extends AdminOptions {
  state?: Delivery['state'] | undefined;
  /** Id of the target. */
  target?: string | undefined;
  /** Maximum number of deliveries; all by default. */
  limit?: number | undefined;
}

/** Deliveries of files and events, and their targets. */
export class DeliveryCalls {
  readonly #ask: JsonRequest;

  constructor(ask: JsonRequest) {
    this.#ask = ask;
  }

  async targets({ tenant, signal }: AdminOptions = {}): Promise<Target[]> {
    return (await this.#ask<{ targets: Target[] }>('GET', 'api/deliveries/targets', { query: { tenant }, signal }))
      .targets;
  }

  /** Creates a target. For a webhook, the reply is the only one that holds its secret. */
  addTarget(target: NewTarget, { tenant, signal }: AdminOptions = {}): Promise<TargetCreated> {
    return this.#ask('POST', 'api/deliveries/targets', { query: { tenant }, body: target, signal });
  }

  /** Disables or enables a target. An enabled target receives files that become complete from then on. */
  changeTarget(id: string, change: { disabled: boolean }, { signal }: AdminOptions = {}): Promise<Target> {
    return this.#ask('PATCH', `api/deliveries/targets/${segment(id)}`, { body: change, signal });
  }

  async removeTarget(id: string, { signal }: AdminOptions = {}): Promise<void> {
    await this.#ask('DELETE', `api/deliveries/targets/${segment(id)}`, { signal });
  }

  /** Yields deliveries, newest first. Requests pages as needed. */
  async *list({
    signal,
    limit = Number.POSITIVE_INFINITY,
    ...which
  }: DeliveryListOptions = {}): AsyncGenerator<Delivery> {
    let left = limit;
    let cursor: string | undefined;
    do {
      const query = { ...which, cursor, limit: Math.min(MAX_PAGE, left) };
      const page: DeliveryPage = await this.#ask('GET', 'api/deliveries', { query, signal });
      yield* page.deliveries.slice(0, left);
      left -= page.deliveries.length;
      cursor = page.next_cursor ?? undefined;
    } while (cursor !== undefined && left > 0);
  }

  /** Retries a delivery now. Throws `not_found`. */
  retry(id: string, { signal }: AdminOptions = {}): Promise<Delivery> {
    return this.#ask('POST', `api/deliveries/${segment(id)}/retry`, { signal });
  }
}
