/** Calls on deliveries and their targets. For administrators. */
import type { Delivery, DeliveryPage, NewTarget, Target, TargetCreated } from '../../protocol/schemas/delivery.ts';
import { type AdminOptions, type JsonRequest, segment, yieldPages } from './json-request.ts';

/** Filters for the list of deliveries. */
export interface DeliveryListOptions extends AdminOptions {
  state?: Delivery['state'] | undefined;
  /** Id of the target. */
  target?: string | undefined;
  /** Maximum number of deliveries; all by default. */
  limit?: number | undefined;
}

/** Deliveries of files and events, and their targets. */
export class DeliveryCalls {
  readonly #request: JsonRequest;

  constructor(request: JsonRequest) {
    this.#request = request;
  }

  async targets({ tenant, signal }: AdminOptions = {}): Promise<Target[]> {
    return (await this.#request<{ targets: Target[] }>('GET', 'api/deliveries/targets', { query: { tenant }, signal }))
      .targets;
  }

  /** Creates a target. For a webhook, the reply is the only one that holds its secret. */
  addTarget(target: NewTarget, { tenant, signal }: AdminOptions = {}): Promise<TargetCreated> {
    return this.#request('POST', 'api/deliveries/targets', { query: { tenant }, body: target, signal });
  }

  /** Disables or enables a target. An enabled target receives files that become complete from then on. */
  changeTarget(id: string, change: { disabled: boolean }, { signal }: AdminOptions = {}): Promise<Target> {
    return this.#request('PATCH', `api/deliveries/targets/${segment(id)}`, { body: change, signal });
  }

  async removeTarget(id: string, { signal }: AdminOptions = {}): Promise<void> {
    await this.#request('DELETE', `api/deliveries/targets/${segment(id)}`, { signal });
  }

  /** Yields deliveries, newest first. Requests pages as needed. */
  list({ signal, limit, ...filter }: DeliveryListOptions = {}): AsyncGenerator<Delivery> {
    return yieldPages(async (page) => {
      const query = { ...filter, ...page };
      const { deliveries, next_cursor: next } = await this.#request<DeliveryPage>('GET', 'api/deliveries', {
        query,
        signal,
      });
      return { entries: deliveries, next };
    }, limit);
  }

  /** Retries a delivery now. Throws `not_found`. */
  retry(id: string, { signal }: AdminOptions = {}): Promise<Delivery> {
    return this.#request('POST', `api/deliveries/${segment(id)}/retry`, { signal });
  }
}
