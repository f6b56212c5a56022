/**
 * The event of a failed delivery. It is stored before the delivery is stored as failed, so that a crash cannot lose it. Its id follows from
 * the delivery, so that a crash in between cannot duplicate it.
 */
import { createHash } from 'node:crypto';
import type { LadingEvent } from '../protocol/schemas/event.ts';
import type { DeliveryDocument } from '../records/delivery.ts';

const KEY = /^([0-9a-z]{9,64})-failed-(\d{1,9})$/;

/** Id of the event. Differs each time that an administrator restarts the delivery. */
export function failedEventKey({ id, retries = 0 }: DeliveryDocument): string {
  return `${id}-failed-${retries}`;
}

/** Id of the delivery of an event to a target. Sorts beside the failed delivery. */
export function eventDeliveryId(key: string, targetId: string): string {
  return key.slice(0, 9) + createHash('sha256').update(`${key} ${targetId}`).digest('hex').slice(0, 12);
}

/** The delivery whose failure `event` reports, if a crash prevented it from being stored as failed. Null otherwise. */
export function interruptedFailure(
  event: DeliveryDocument,
  find: (id: string) => DeliveryDocument | null,
): DeliveryDocument | null {
  if (event.event !== 'delivery.failed' || event.payload === null) return null;
  const { id: key = '' } = JSON.parse(event.payload) as Partial<LadingEvent>;
  const delivery = find(KEY.exec(key)?.[1] ?? '');
  return delivery?.state === 'queued' && failedEventKey(delivery) === key ? delivery : null;
}
