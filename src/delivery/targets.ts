/** Delivery targets, and the rules that select files and events for them. */
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

/** Every complete file is matched against each target of its tenant. */
const MAX_PER_TENANT = 100;

/** A target to be created, with its password or signing key in plain text. */
export type NewTarget = { tenant: string; name: string; rule: DeliveryRule; secret: string } & (
  | Pick<FtpTargetDocument, 'kind' | 'host' | 'port' | 'username' | 'directory' | 'pattern' | 'ca' | 'implicit'>
  | Pick<WebhookTargetDocument, 'kind' | 'url' | 'events' | 'content'>
);

/** Stores and finds targets. */
export class Targets {
  readonly #documents: Collection<TargetDocument>;
  readonly #vault: SealedBox;
  readonly #clock: Clock;
  readonly #byId = new Map<string, TargetDocument>();
  readonly #byTenant = new Map<string, TargetDocument[]>();
  /** Deleted targets whose servers may still have temporary files. */
  readonly #retired = new Map<string, TargetDocument>();

  private constructor(documents: Collection<TargetDocument>, vault: SealedBox, clock: Clock) {
    this.#documents = documents;
    this.#vault = vault;
    this.#clock = clock;
  }

  /** Reads the stored targets. */
  static async open(documents: Collection<TargetDocument>, vault: SealedBox, clock: Clock): Promise<Targets> {
    const targets = new Targets(documents, vault, clock);
    for (const target of await documents.list()) {
      if (target.retired) targets.#retired.set(target.id, target);
      else targets.#insert(target);
    }
    return targets;
  }

  find(id: string): TargetDocument | null {
    return this.#byId.get(id) ?? null;
  }

  list(tenant: string): readonly TargetDocument[] {
    return this.#byTenant.get(tenant) ?? [];
  }

  /** Targets of the tenant that are not disabled. */
  enabled(tenant: string): readonly TargetDocument[] {
    return this.list(tenant).filter(({ disabled }) => disabled === undefined);
  }

  findRetired(id: string): TargetDocument | null {
    return this.#retired.get(id) ?? null;
  }

  retired(): TargetDocument[] {
    return [...this.#retired.values()];
  }

  /** Creates a target. Durable when it resolves. @throws LadingError `already_exists` if the name is in use, `quota_exceeded` */
  async add({ secret, ...rest }: NewTarget): Promise<TargetDocument> {
    const others = this.list(rest.tenant);
    if (others.length >= MAX_PER_TENANT) {
      throw new LadingError(
        'quota_exceeded',
        `A tenant can have at most ${MAX_PER_TENANT} targets. Delete one first.`,
        {
          expected: MAX_PER_TENANT,
          actual: others.length + 1,
        },
      );
    }
    if (others.some(({ name }) => name === rest.name)) {
      throw new LadingError(
        'already_exists',
        'A target of this name exists already. Delete it, or choose another name.',
      );
    }
    const id = randomBytes(8).toString('hex');
    const target: TargetDocument = {
      ...rest,
      id,
      createdAt: this.#clock.now(),
      madeAt: this.#clock.steady(),
      secret: this.#vault.seal(secret, purposeOf(id)),
    };
    // Visible before it is durable, so that concurrent requests cannot create the same name twice.
    this.#insert(target);
    try {
      await this.#documents.put(target);
    } catch (error) {
      this.#delete(target);
      throw error;
    }
    return target;
  }

  /** Deletes a target, or the document of a retired one. Durable when it resolves. */
  async remove(target: TargetDocument): Promise<void> {
    await this.#documents.remove(target.id);
    this.#retired.delete(target.id);
    this.#delete(target);
  }

  /** Hides a deleted target from everything except the clean-up of its server, until `remove` is called. */
  async retire(target: TargetDocument): Promise<void> {
    const retired = { ...target, retired: true as const };
    await this.#documents.put(retired);
    this.#delete(target);
    this.#retired.set(target.id, retired);
  }

  /**
   * @param unrecorded id of the event that is to record the change; see `setRecorded`
   * @returns the changed target; null if it was deleted meanwhile
   */
  async disable({ id }: TargetDocument, reason: string, unrecorded?: string): Promise<TargetDocument | null> {
    const current = this.find(id);
    const event = unrecorded === undefined ? {} : { unrecorded };
    return current && (await this.#replace({ ...current, disabled: { at: this.#clock.now(), reason, ...event } }));
  }

  /** Disabled targets without a confirmed entry in the audit log. */
  unrecorded(): TargetDocument[] {
    return [...this.#byId.values()].filter(({ disabled }) => disabled?.unrecorded !== undefined);
  }

  /** Marks the target as recorded in the audit log by this event. */
  async setRecorded({ id }: TargetDocument, event: string): Promise<void> {
    const current = this.find(id);
    if (current?.disabled?.unrecorded !== event) return;
    const { unrecorded: _, ...disabled } = current.disabled;
    await this.#replace({ ...current, disabled });
  }

  /** @returns the changed target; null if it was deleted meanwhile */
  async enable({ id }: TargetDocument): Promise<TargetDocument | null> {
    const current = this.find(id);
    if (!current?.disabled) return current;
    const { disabled: _, ...rest } = current;
    return await this.#replace({ ...rest, enabledAt: this.#clock.steady() });
  }

  async #replace(target: TargetDocument): Promise<TargetDocument | null> {
    await this.#documents.put(target);
    if (!this.find(target.id)) {
      // The target was deleted during the write.
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

  /** The password or signing key of a target; null if it was sealed with a different key. */
  secretOf({ id, secret }: TargetDocument): string | null {
    return this.#vault.open(secret, purposeOf(id));
  }

  #insert(target: TargetDocument): void {
    this.#byId.set(target.id, target);
    this.#byTenant.set(target.tenant, [...this.list(target.tenant), target]);
  }

  #delete({ id, tenant }: TargetDocument): void {
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

/** True for targets that receive the files themselves. */
export function takesFiles(target: TargetDocument): boolean {
  return target.kind !== 'webhook' || target.content === 'file';
}

/** True if a complete file matches the rule of a target. */
export function wantsFile({ rule }: TargetDocument, file: Readonly<FileDocument>): boolean {
  return matches(rule, parseOwnerKey(file.owner).id, file.name, file.contentType ?? contentTypeFor(file.name));
}

/** True if a webhook receives an event. A rule that selects files excludes events without a file. */
export function wantsEvent({ events, rule }: WebhookTargetDocument, event: LadingEvent): boolean {
  if (!events.includes(event.type)) return false;
  return matches(rule, event.owner, event.filename, event.content_type);
}

/** The tenant whose webhooks receive an event. Events without a tenant go to the default tenant, whose administrators run the server. */
export function tenantOfEvent({ tenant }: LadingEvent): string {
  return tenant ?? DEFAULT_TENANT;
}

function matches(rule: DeliveryRule, owner: string | null, name: string | null, type: string | null): boolean {
  if (rule.owner !== null && rule.owner !== owner) return false;
  if (!(name ?? '').startsWith(rule.prefix)) return false;
  if (rule.type === null) return true;
  const essence = (type ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
  return rule.type.endsWith('/') ? essence.startsWith(rule.type) : essence === rule.type;
}
