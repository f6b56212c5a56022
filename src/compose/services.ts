/** Opens all services of the server below HTTP, in the order of their dependencies. */
import type { Logger } from 'pino';
import { AudioLibrary } from '../audio/library.ts';
import { Calls } from '../calls/calls.ts';
import type { Catalog } from '../contracts/catalog.ts';
import type { Clock } from '../contracts/clock.ts';
import type { FileEvent } from '../contracts/file-events.ts';
import type { DocumentReports, Store } from '../contracts/store.ts';
import { Deliveries, type DeliveryDeps } from '../delivery/deliveries.ts';
import { Targets } from '../delivery/targets.ts';
import { WebhookSender } from '../delivery/webhook.ts';
import { Engine } from '../engine/engine.ts';
import { Events } from '../events/events.ts';
import type { JwtKeys } from '../http/access/signatures.ts';
import { Audit } from '../identity/audit.ts';
import { Identity } from '../identity/directory/identity.ts';
import { Quotas } from '../identity/quotas.ts';
import { parseOwnerKey } from '../identity/rights/policy.ts';
import { SecondFactor } from '../identity/second-factor.ts';
import { SealedBox } from '../identity/state/sealed-box.ts';
import { checkAudio } from '../records/checks/audio.ts';
import { checkCall } from '../records/checks/calls.ts';
import { checkDelivery, checkTarget } from '../records/checks/delivery.ts';
import type { FileDocument } from '../records/file.ts';
import type { Config } from '../settings/config.ts';
import { openCollection, openIdentityStores } from './documents.ts';
import { endSharingWithFiles } from './files-and-sharing.ts';
import { voiceOf } from './outgoing.ts';
import { jwtKeys, sealingKey } from './secrets.ts';
import type { Warn } from './warn.ts';

/** The dependencies that all services share. */
export interface ServiceDeps {
  config: Config;
  store: Store;
  clock: Clock;
  log: Logger;
  warn: Warn;
}

export interface Services {
  identity: Identity;
  events: Events;
  audit: Audit;
  keys: JwtKeys;
  quotas: Quotas;
  audio: AudioLibrary;
  targets: Targets;
  calls: Calls;
  secondFactor: SecondFactor;
  deliveries: Deliveries;
  engine: Engine;
}

export async function openServices(shared: ServiceDeps): Promise<Services> {
  const { config, store, clock, warn } = shared;
  const reports = reportsTo(shared.log);
  const identity = await Identity.open(await openIdentityStores(store, reports), clock, {
    refreshSeconds: config.refreshDays * 24 * 3600,
    accessSeconds: config.tokenMinutes * 60,
    sessionSeconds: config.sessionDays * 24 * 3600,
  });
  const events = new Events(clock);
  const listeners: { deliveries: Deliveries | null } = { deliveries: null };
  const audit = openAudit(shared, events, listeners);
  const keys = await jwtKeys(config, store, clock);
  const catalog = await openCatalog(shared, reports);
  const quotas = new Quotas(identity, {
    bytes: config.quotaBytes,
    openUploads: config.quotaOpenUploads,
    dayBytes: config.quotaDayBytes,
  });
  await endSharingWithFiles(identity, catalog, warn);
  const documents = await openCollection(store, 'audio', checkAudio, reports);
  // The engine is opened last. No service reads a file before that.
  const assertUndamaged = (file: FileDocument): Promise<void> => engine.assertUndamaged(file);
  const audio = await AudioLibrary.open({ documents, catalog, blobs: store.blobs, assertUndamaged, warn });
  const vault = new SealedBox(await sealingKey(config, store));
  const targets = await Targets.open(await openCollection(store, 'targets', checkTarget, reports), vault, clock);
  const calls = await openCalls(shared, vault, reports);
  const secondFactor = new SecondFactor(identity, clock, config.requireOtp, config.otpHours);
  secondFactor.restore(calls.proofs());
  const deliveries = await openDeliveries(shared, { targets, catalog, events, audit, assertUndamaged }, reports);
  listeners.deliveries = deliveries;
  identity.onTenantRemoved((tenant) => deliveries.deleteTenant(tenant));
  const engine = openEngine(shared, { catalog, quotas, events, deliveries });
  return { identity, events, audit, keys, quotas, audio, targets, calls, secondFactor, deliveries, engine };
}

function reportsTo(log: Logger): DocumentReports {
  return {
    onDamaged: (key, error) => log.error({ key, err: error }, 'a damaged document was skipped; all others are served'),
    onCorrected: (key, mended) =>
      log.warn({ key, mended }, 'a number in a document was out of bounds and was corrected'),
  };
}

/** @param listeners `deliveries` is set once it is open; nothing is recorded before that */
function openAudit(
  { store, clock, log }: ServiceDeps,
  events: Events,
  listeners: { deliveries: Deliveries | null },
): Audit {
  return new Audit({
    log: store.auditLog,
    clock,
    onFailed: (entry, error) => log.error({ ...entry, err: error }, 'an entry of the audit log could not be stored'),
    onRefused: (entry) => events.emitRefusal(entry),
    // The reply waits until the event is queued durably for webhooks.
    announce: (entry) => listeners.deliveries?.announceChange(entry) ?? null,
    onRecorded: (entry, key) => (events.emitChange(entry, key) ? listeners.deliveries?.stored() : undefined),
  });
}

async function openCatalog({ store, log }: ServiceDeps, reports: DocumentReports): Promise<Catalog> {
  const catalog = await store.openCatalog(reports);
  store.onJournalDamage((id, found) => {
    void catalog.get(id).then((file) => {
      const message = 'the disk damaged records of a journal; their ranges are missing until they are sent again';
      log.error({ id, owner: file?.owner, file: file?.name, ...found }, message);
    });
  });
  return catalog;
}

async function openCalls(
  { config, store, clock, warn }: ServiceDeps,
  vault: SealedBox,
  reports: DocumentReports,
): Promise<Calls> {
  const documents = await openCollection(store, 'calls', checkCall, reports);
  return Calls.open(
    { documents, vault, clock, voice: voiceOf(config, warn), warn },
    { phoneHour: config.otpPhoneHour, callerHour: config.otpCallerHour, day: config.otpDay },
  );
}

async function openDeliveries(
  { config, store, clock, warn }: ServiceDeps,
  services: Pick<Services, 'targets' | 'events' | 'audit'> & Pick<DeliveryDeps, 'catalog' | 'assertUndamaged'>,
  reports: DocumentReports,
): Promise<Deliveries> {
  const { targets, catalog, events, audit, assertUndamaged } = services;
  const allowPrivate = config.webhookPrivate === 'on';
  return Deliveries.open(
    {
      targets,
      documents: await openCollection(store, 'deliveries', checkDelivery, reports),
      catalog,
      blobs: store.blobs,
      inspector: store.inspector,
      assertUndamaged,
      webhooks: new WebhookSender(allowPrivate),
      allowPrivate,
      events,
      clock,
      warn,
      recordDisabled: ({ name, tenant }, detail, event) => {
        const nobody = { principal: null, address: null, requestId: null };
        return audit.record(
          { ...nobody, action: 'target_disabled', outcome: 'ok', tenant, target: name, detail },
          event,
        );
      },
    },
    {
      parallel: config.deliveryParallel,
      attempts: config.deliveryAttempts,
      retrySeconds: config.deliveryRetrySeconds,
    },
  );
}

function openEngine(
  { config, store, clock, log, warn }: ServiceDeps,
  services: { catalog: Catalog; quotas: Quotas; events: Events; deliveries: Deliveries },
): Engine {
  const { catalog, quotas: quota, events, deliveries } = services;
  const emit = (event: FileEvent): void => {
    logStale(log, event);
    events.emitFileEvent(event);
  };
  const { blobs, manifests, inspector } = store;
  return new Engine(
    {
      ...{ blobs, manifests, inspector, catalog, clock, warn, quota, emit },
      announce: (fileEvents) => deliveries.announce(fileEvents),
    },
    config,
  );
}

/** Logs uploads that were parked or removed because nothing arrived for them, which nobody would notice otherwise. */
function logStale(log: Logger, event: FileEvent): void {
  if (event.type !== 'upload.stale' && event.type !== 'upload.expired') return;
  const { file, received } = event;
  const about = { file: file.name, file_id: file.id, ...parseOwnerKey(file.owner), bytes_received: received };
  if (event.type === 'upload.expired') log.warn(about, 'an upload was removed: it was parked for too long');
  else
    log.info(
      { ...about, expires_at: event.expiresAt ?? null },
      'an upload was parked: nothing has arrived for it for a long time',
    );
}
