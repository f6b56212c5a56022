/** Where finished files and events are sent on to, and which of them go where. */
import { randomBytes } from 'node:crypto';
import type { Clock } from '../contracts/clock.ts';
import type { Collection } from '../contracts/collection.ts';
import { LadingError } from '../errors.ts';
import { DEFAULT_TENANT, parseOwnerKey } from '../identity/rights/policy.ts';
import type { SealedBox } from '../identity/state/sealed-box.ts';
import { contentTypeFor } from '../protocol/http/media-types.ts';
import type { LadingEvent } from '../protocol/schemas/event.ts';
import type { DeliveryRule, FtpTargetDocument, TargetDocument, WebhookTargetDocument } from '../records/delivery.ts';
import type { FileDocument } from '../records/file.ts';

/** Every finished file is held against each of them. */
const MAX_PER_TENANT = 100;

export type NewTarget = { tenant: string; name: string; rule: DeliveryRule; secret: string } & (
  | Pick<FtpTargetDocument, 'kind' | 'host' | 'port' | 'username' | 'directory' | 'pattern' | 'ca' | 'implicit'>
  | Pick<WebhookTargetDocument, 'kind' | 'url' | 'events' | 'content'>
);

export class Targets {
  readonly #documents: Collection<TargetDocument>;
  readonly #vault: SealedBox;
  readonly #clock: Clock;
  readonly #byId = new Map<string, TargetDocument>();
  readonly #byTenant = new Map<string, TargetDocument[]>();
  /** Deleted ones, of which something is to be removed from their servers. */
  readonly #retired = new Map<string, TargetDocument>();

  private constructor(documents: Collection<TargetDocument>, vault: SealedBox, clock: Clock) {
    this.#documents = documents;
    this.#vault = vault;
    this.#clock = clock;
  }

  static async open(documents: Collection<TargetDocument>, vault: SealedBox, clock: Clock): Promise<Targets> {
    const targets = new Targets(documents, vault, clock);
    for (const target of await documents.list()) {
      if (target.retired) targets.#retired.set(target.id, target);
      else targets.#keep(target);
    }
    return targets;
  }

  find(id: string): TargetDocument | null {
    return this.#byId.get(id) ?? null;
  }

  list(tenant: string): readonly TargetDocument[] {
    return this.#byTenant.get(tenant) ?? [];
  }

  /** Those to which something is sent. */
  enabled(tenant: string): readonly TargetDocument[] {
    return this.list(tenant).filter(({ disabled }) => disabled === undefined);
  }

  findRetired(id: string): TargetDocument | null {
    return this.#retired.get(id) ?? null;
  }

  retired(): TargetDocument[] {
    return [...this.#retired.values()];
  }

  /** Durable when it resolves. @throws LadingError `already_exists` for a name in use, `quota_exceeded` */
  async add({ secret, ...rest }: NewTarget): Promise<TargetDocument> {
    const others = this.list(rest.tenant);
    if (others.length >= MAX_PER_TENANT) {
      throw new LadingError('quota_exceeded', `There are ${MAX_PER_TENANT} targets already. Delete one.`, {
        expected: MAX_PER_TENANT,
        actual: others.length + 1,
      });
    }
    if (others.some(({ name }) => name === rest.name)) {
      throw new LadingError('already_exists', 'There is a target of this name. Delete it, or take another name.');
    }
    const id = randomBytes(8).toString('hex');
    const target: TargetDocument = {
      ...rest,
      id,
      createdAt: this.#clock.now(),
      madeAt: this.#clock.steady(),
      secret: this.#vault.seal(secret, purposeOf(id)),
    };
    // Before it is durable: of two requests for one name only the first finds it free.
    this.#keep(target);
    try {
      await this.#documents.put(target);
    } catch (error) {
      this.#forget(target);
      throw error;
    }
    return target;
  }

  async remove(target: TargetDocument): Promise<void> {
    await this.#documents.remove(target.id);
    this.#retired.delete(target.id);
    this.#forget(target);
  }

  /** Deletes a target for everybody but those who clean up on its server; `remove` ends that. */
  async retire(target: TargetDocument): Promise<void> {
    const retired = { ...target, retired: true as const };
    await this.#documents.put(retired);
    this.#forget(target);
    this.#retired.set(target.id, retired);
  }

  /**
   * @param unrecorded id of the event that is to say so; see `setRecorded`
   * @returns the target as it is now; null when it was deleted meanwhile
   */
  async disable({ id }: TargetDocument, reason: string, unrecorded?: string): Promise<TargetDocument | null> {
    const now = this.find(id);
    const event = unrecorded === undefined ? {} : { unrecorded };
    return now && (await this.#replace({ ...now, disabled: { at: this.#clock.now(), reason, ...event } }));
  }

  /** Those that were disabled and of which the audit log may not say so. */
  unrecorded(): TargetDocument[] {
    return [...this.#byId.values()].filter(({ disabled }) => disabled?.unrecorded !== undefined);
  }

  /** Notes that the audit log says that this event disabled the target. */
  async setRecorded({ id }: TargetDocument, event: string): Promise<void> {
    const now = this.find(id);
    if (now?.disabled?.unrecorded !== event) return;
    const { unrecorded: _, ...disabled } = now.disabled;
    await this.#replace({ ...now, disabled });
  }

  async enable({ id }: TargetDocument): Promise<TargetDocument | null> {
    const now = this.find(id);
    if (!now?.disabled) return now;
    const { disabled: _, ...rest } = now;
    return await this.#replace({ ...rest, enabledAt: this.#clock.steady() });
  }

  async #replace(target: TargetDocument): Promise<TargetDocument | null> {
    await this.#documents.put(target);
    if (!this.find(target.id)) {
      // Deleted meanwhile.
      if (!this.#retired.has(target.id)) await this.#documents.remove(target.id);
      return null;
    }
    this.#byId.set(target.id, target);
    this.#byTenant.set(
      target.tenant,
      this.list(target.tenant).map((other) => (other.id === target.id ? target : other)),
    );
    return target;
  }

  /** Null when it cannot be read: it was sealed with another key. */
  secretOf({ id, secret }: TargetDocument): string | null {
    return this.#vault.open(secret, purposeOf(id));
  }

  #keep(target: TargetDocument): void {
    this.#byId.set(target.id, target);
    this.#byTenant.set(target.tenant, [...this.list(target.tenant), target]);
  }

  #forget({ id, tenant }: TargetDocument): void {
    this.#byId.delete(id);
    this.#byTenant.set(
      tenant,
      this.list(tenant).filter((other) => other.id !== id),
    );
  }
}

function purposeOf(id: string): string {
  return `delivery target ${id}`;
}

/** The name of a target for principals that may not see its address. A name that contains the host, as by default, is replaced. */
export function plainName(target: TargetDocument): string {
  const { id, kind, name } = target;
  const host = target.kind === 'webhook' ? new URL(target.url).hostname : target.host;
  return name.toLowerCase().includes(host.toLowerCase()) ? `${kind} ${id.slice(0, 4)}` : name;
}

/** True for targets that get files themselves. */
export function takesFiles(target: TargetDocument): boolean {
  return target.kind !== 'webhook' || target.content === 'file';
}

/** True when a finished file is for a target. */
export function wantsFile({ rule }: TargetDocument, file: Readonly<FileDocument>): boolean {
  return follows(rule, parseOwnerKey(file.owner).id, file.name, file.contentType ?? contentTypeFor(file.name));
}

/** True when a webhook wants to hear of an event. One with a rule about files hears of nothing else. */
export function wantsEvent({ events, rule }: WebhookTargetDocument, event: LadingEvent): boolean {
  if (!events.includes(event.type)) return false;
  return follows(rule, event.owner, event.filename, event.content_type);
}

/** Whose webhooks hear of an event: what nobody known did is the business of those who run the server. */
export function tenantOfEvent({ tenant }: LadingEvent): string {
  return tenant ?? DEFAULT_TENANT;
}

function follows(rule: DeliveryRule, owner: string | null, name: string | null, type: string | null): boolean {
  if (rule.owner !== null && rule.owner !== owner) return false;
  if (!(name ?? '').startsWith(rule.prefix)) return false;
  if (rule.type === null) return true;
  const essence = (type ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
  return rule.type.endsWith('/') ? essence.startsWith(rule.type) : essence === rule.type;
}
