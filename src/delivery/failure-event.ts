/**
 * The event of a delivery that was given up. It is stored before the delivery is stored as failed, so that a crash cannot lose it; what it
 * is called by follows from the delivery, so that it is told once, however often a crash comes in between.
 */
import { createHash } from 'node:crypto';
import type { LadingEvent } from '../protocol/schemas/event.ts';
import type { DeliveryDocument } from '../records/delivery.ts';

const KEY = /^([0-9a-z]{9,64})-failed-(\d{1,9})$/;

/** Id of the event: another one each time that an administrator tries the delivery again. */
export function failedEventKey({ id, retries = 0 }: DeliveryDocument): string {
  return `${id}-failed-${retries}`;
}

/** Id of the delivery of an event to a target; sorts beside the delivery that was given up. */
export function idOfEvent(key: string, targetId: string): string {
  return key.slice(0, 9) + createHash('sha256').update(`${key} ${targetId}`).digest('hex').slice(0, 12);
}

/** The delivery of which a stored event says that it was given up, if a crash kept that from being stored with it. */
export function unfinishedFailure(
  event: DeliveryDocument,
  find: (id: string) => DeliveryDocument | null,
): DeliveryDocument | null {
  if (event.event !== 'delivery.failed' || event.payload === null) return null;
  const { id: key = '' } = JSON.parse(event.payload) as Partial<LadingEvent>;
  const delivery = find(KEY.exec(key)?.[1] ?? '');
  return delivery?.state === 'queued' && failedEventKey(delivery) === key ? delivery : null;
}
