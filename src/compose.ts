/** The only place that wires rooms together; it opens them in order and closes them in reverse. */

import { hkdfSync, randomBytes } from 'node:crypto';
import { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import type { Agent } from 'undici';
import { AudioLibrary } from './audio/library.ts';
import { Calls } from './calls/calls.ts';
import { providerVoice } from './calls/provider.ts';
import { sipVoice } from './calls/sip.ts';
import { consoleVoice, type Voice } from './calls/voice.ts';
import { SteadyClock } from './clock.ts';
import { type Config, readTls } from './config.ts';
import type { Catalog, Clock, Collection, FileHappening, TargetDocument } from './contracts.ts';
import { Deliveries } from './delivery/deliveries.ts';
import { Targets } from './delivery/targets.ts';
import { WebhookSender } from './delivery/webhook.ts';
import type { Announce } from './engine/announce.ts';
import { Engine } from './engine/engine.ts';
import { Events } from './events/events.ts';
import type { ServerState } from './http/deps.ts';
import { replaceCertificate } from './http/listener.ts';
import { createLog } from './http/log.ts';
import { LogOutput } from './http/log-output.ts';
import type { MetricName } from './http/metric-help.ts';
import { Pump } from './http/pump.ts';
import { buildServer } from './http/server.ts';
import type { JwtKeys } from './http/signatures.ts';
import { Audit } from './identity/audit.ts';
import { ensureAdmin, type FirstAdmin, makeSigningKey } from './identity/bootstrap.ts';
import { Identity, type IdentityStores } from './identity/identity.ts';
import { KeyRing } from './identity/keys.ts';
import { type OutsideProvider, openIdProvider, yandexProvider } from './identity/outside.ts';
import { holderOf } from './identity/policy.ts';
import { Quotas } from './identity/quotas.ts';
import { SecondFactor } from './identity/second-factor.ts';
import { VAULT_KEY_BYTES, Vault } from './identity/vault.ts';
import { type KeptClock, openClock } from './kept-clock.ts';
import { fetchThrough, outgoingAgent } from './outgoing.ts';
import type { CollectionName } from './storage/disk/layout.ts';
import { type DiskStore, type DiskStoreOptions, hasData, openDiskStore } from './storage/disk/store.ts';
import { checkAudio } from './storage/lowdb/audio-documents.ts';
import { checkCall } from './storage/lowdb/call-documents.ts';
import { openLowdbCatalog } from './storage/lowdb/catalog.ts';
import { openLowdbCollection } from './storage/lowdb/collection.ts';
import { checkDelivery, checkTarget } from './storage/lowdb/delivery-documents.ts';
import type { Check, OnDamaged, OnMendedDocument } from './storage/lowdb/documents.ts';
import {
  checkApiToken,
  checkClient,
  checkGrant,
  checkPerson,
  checkRevocation,
  checkShare,
  checkSignIn,
  checkTenant,
} from './storage/lowdb/identity-documents.ts';
import { type Timetable, timetable } from './timetable.ts';

/** A whole server. */
export interface App {
  server: FastifyInstance;
  engine: Engine;
  log: Logger;
  /** Resolves when the data directory was moved, unmounted or replaced. Whoever runs the server then ends it. */
  readonly lost: Promise<void>;
  /**
   * Listens, then recovers; resolves with the address once everything is served. Until then every route but `/health` is 503.
   * @param show called with the first administrator when there is none and one is about to be made; its secret is known only then
   */
  start(show?: (admin: FirstAdmin) => void): Promise<string>;
  /** Reads the TLS certificate and key again, for new connections, and opens the log file again. What fails is logged and stays as it was. */
  reload(): void;
  /** Gives a slow reader of the log half a second for the lines that wait. For the very end of the process. */
  writeLastLines(): void;
  /** Stops in order: no new requests, running chunks finish within the patience, everything durable. Also in the middle of a start. */
  close(): Promise<void>;
}

/** What tests put in place of the real thing. */
export interface Substitutes {
  clock?: Clock;
  disk?: DiskStoreOptions['disk'];
  threads?: DiskStoreOptions['threads'];
  log?: Logger;
  /** How long a followed download waits for the next change of its file. */
  followSilenceMs?: number;
}

const FOLLOW_SILENCE_MS = 60_000;
/** While a stop waits for running requests: how often connections without one are closed. */
/** How long the answers to what a stop refuses may take to get out. */
const LAST_ANSWERS_MS = 1_000;
const IDLE_LOOK_MS = 100;

/** Opens the data directory and builds the server; nothing listens yet. */
export async function compose(config: Config, substitutes: Substitutes = {}): Promise<App> {
  const output = logOutput(config);
  const log = substitutes.log ?? createLog(config.logLevel, output);
  const store = await openDiskStore({
    dataDir: config.dataDir,
    workers: config.workers,
    ...(substitutes.disk ? { disk: substitutes.disk } : {}),
    ...(substitutes.threads ? { threads: substitutes.threads } : {}),
  });
  try {
    const kept = await openClock(store.dateBox, (message, details) => log.warn(details, message));
    const clock = substitutes.clock ?? kept.clock;
    return await assemble(config, store, kept, { ...substitutes, clock, log, output });
  } catch (error) {
    await store.close();
    throw error;
  }
}

function logOutput({ logFile }: Config): LogOutput {
  try {
    return new LogOutput({ file: logFile });
  } catch (error) {
    const why = error instanceof Error && 'code' in error ? error.code : error;
    throw new Error(`LADING_LOG_FILE names a file that cannot be written (${why}): ${JSON.stringify(logFile)}`);
  }
}

async function assemble(
  config: Config,
  store: DiskStore,
  kept: KeptClock,
  outside: Substitutes & { clock: Clock; log: Logger; output: LogOutput },
): Promise<App> {
  const { clock, log, output, followSilenceMs = FOLLOW_SILENCE_MS } = outside;
  const onDamaged = (key: string, error: Error): void => {
    log.error({ key, err: error }, 'a damaged document was passed over; the rest is served');
  };
  const onMended = (key: string, words: string): void => {
    log.warn({ key, mended: words }, 'a number of a document was out of bounds and was put right');
  };
  const identity = await Identity.open(await identityStores(store, onDamaged, onMended), clock, {
    refreshSeconds: config.refreshDays * 24 * 3600,
    accessSeconds: config.tokenMinutes * 60,
    sessionSeconds: config.sessionDays * 24 * 3600,
  });
  const events = new Events(clock);
  let told: Deliveries | null = null;
  const audit = new Audit({
    log: store.auditLog,
    clock,
    failed: (entry, error) => log.error({ ...entry, err: error }, 'an entry of the audit log could not be stored'),
    refused: (entry) => events.refused(entry),
    recorded: (entry) => {
      // What was done is answered when webhooks are sure to hear of it.
      return events.recorded(entry) ? told?.stored() : undefined;
    },
  });
  const keys = await jwtKeys(config, store, clock);
  const catalog = await openLowdbCatalog({ files: store.fileDocuments, onDamaged });
  store.onJournalDamage((id, found) => {
    void catalog.get(id).then((file) => {
      const words = 'the disk damaged records of a journal; ranges that are lost are missing until they are sent again';
      log.error({ id, owner: file?.owner, file: file?.name, ...found }, words);
    });
  });
  const quotas = new Quotas(identity, {
    bytes: config.quotaBytes,
    openUploads: config.quotaOpenUploads,
    dayBytes: config.quotaDayBytes,
  });
  const warn = (message: string, details: object): void => log.warn(details, message);
  await endWithFiles(identity, catalog, warn);
  const collection = <T extends { id: string }>(name: CollectionName, check: Check<T>): Promise<Collection<T>> =>
    openLowdbCollection({ files: store.documents(name), check, idOf: ({ id }: T) => id, onDamaged });
  const documents = await collection('audio', checkAudio);
  const audioLibrary = await AudioLibrary.open({ documents, catalog, blobs: store.blobs, warn });
  const vault = new Vault(await vaultKey(config, store));
  const targets = await Targets.open(await collection('targets', checkTarget), vault, clock);
  const calls = await Calls.open(
    { documents: await collection('calls', checkCall), vault, clock, voice: voiceOf(config, warn), warn },
    { phoneHour: config.otpPhoneHour, callerHour: config.otpCallerHour, day: config.otpDay },
  );
  const secondFactor = new SecondFactor(identity, clock, config.requireOtp, config.otpHours);
  secondFactor.restore(calls.proofs());
  const deliveries = await Deliveries.open(
    {
      targets,
      documents: await collection('deliveries', checkDelivery),
      catalog,
      blobs: store.blobs,
      inspector: store.inspector,
      webhooks: new WebhookSender(config.webhookPrivate === 'on'),
      allowPrivate: config.webhookPrivate === 'on',
      events,
      clock,
      warn,
      disabled: ({ name, tenant }, detail) => {
        const nobody = { principal: null, address: null, requestId: null };
        void audit.record({ ...nobody, action: 'target_disabled', outcome: 'ok', tenant, target: name, detail });
      },
    },
    {
      parallel: config.deliveryParallel,
      attempts: config.deliveryAttempts,
      retrySeconds: config.deliveryRetrySeconds,
    },
  );
  told = deliveries;
  identity.alsoOfTenants((tenant) => deliveries.forgetTenant(tenant));
  const happened = (happening: FileHappening): void => {
    logStale(log, happening);
    events.file(happening);
  };
  const announce: Announce = (happenings) => deliveries.announce(happenings);
  const engine = new Engine({ ...store, catalog, clock, warn, quota: quotas, happened, announce }, config);
  let state: ServerState = 'starting';
  // As much again as half of what uploads may hold, so that neither side can starve the other.
  const downloads = new Pump({ bytes: config.bufferBytes / 2, idleMs: config.idleSeconds * 1000 });
  const gauges = (): Record<MetricName, number> => ({
    ...engine.gauges(),
    ...store.gauges(),
    ...deliveries.gauges(),
    sign_ins_failed_total: audit.refusedSignIns,
    log_dropped_lines_total: output.dropped,
    downloads: downloads.active,
    download_buffer_bytes: downloads.pool.lent,
  });
  const server = buildServer({
    config,
    engine,
    downloads,
    followSilenceMs,
    identity,
    outside: outsideProviders(config, clock, warn),
    audit,
    quotas,
    audio: audioLibrary,
    targets,
    deliveries,
    events,
    calls,
    secondFactor,
    keys,
    clock,
    log,
    state: () => state,
    storage: store.condition,
    gauges,
  });
  const sweepAll = (): Promise<void> => sweep({ engine, identity, deliveries, calls, keys, log });
  const sweeper = timetable(config.cleanupCron, clock, sweepAll);
  const enter = (next: ServerState): void => {
    state = next;
  };
  return lifecycle({
    ...{
      config,
      store,
      kept,
      clock,
      log,
      output,
      identity,
      audit,
      engine,
      deliveries,
      calls,
      audio: audioLibrary,
      events,
      server,
      sweeper,
      sweepAll,
      enter,
    },
  });
}

/** What happens to uploads for which nobody does anything must not happen in silence. */
function logStale(log: Logger, happening: FileHappening): void {
  if (happening.type !== 'upload.stale' && happening.type !== 'upload.expired') return;
  const { file, received } = happening;
  const about = { file: file.name, file_id: file.id, ...holderOf(file.owner), bytes_received: received };
  if (happening.type === 'upload.expired') log.warn(about, 'an upload was removed: it was parked for too long');
  else
    log.info(
      { ...about, expires_at: happening.expiresAt ?? null },
      'an upload was parked: nothing has arrived for it for a long time',
    );
}

/** What is shared of a file ends with it, now and when a crash came in between. */
async function endWithFiles(
  identity: Identity,
  catalog: Catalog,
  warn: (message: string, details: object) => void,
): Promise<void> {
  await identity.filesAtStart(
    (id) => catalog.has(id),
    async (owner, name) => {
      const { sealed, open } = await catalog.find(owner, name);
      return sealed ?? (open?.continues ? open : null);
    },
  );
  const failed = (id: string) => (error: unknown) => {
    warn('what was shared of a file that is gone could not be put right; the next start does', { id, error });
  };
  catalog.follow(({ id, replaces }, there) => {
    if (there && replaces !== null) identity.grants.fileReplaced(replaces, id).catch(failed(id));
    // A document that is only changed goes and comes, and so does the name of one that is replaced.
    if (!there)
      void catalog
        .has(id)
        .then(async (has) => (has ? undefined : identity.fileGone(id)))
        .catch(failed(id));
  });
}

async function jwtKeys(config: Config, store: DiskStore, clock: Clock): Promise<JwtKeys> {
  const { jwtAlgorithm: algorithm, jwtRotateDays: rotateDays, jwtSecret } = config;
  if (algorithm !== 'HS256') {
    const box = store.secretBox('signingkeys');
    return KeyRing.open({ box, clock, algorithm, rotateDays, tokenSeconds: longestToken(config) });
  }
  const secret = jwtSecret ?? Buffer.from(await store.secret('jwt', makeSigningKey)).toString('utf8');
  return { algorithm, secret };
}

/** In seconds; those of ops and client accounts are valid for long. */
function longestToken({ tokenMinutes, accountDays }: Config): number {
  return Math.max(tokenMinutes * 60, accountDays * 24 * 3600);
}

function voiceOf(config: Config, warn: Warn): Voice | null {
  const { voice, voiceUrl, voiceAccount, voiceToken, voiceFrom, sipAddress, sipPassword, publicUrl } = config;
  if (voice === 'console') return consoleVoice((line) => console.log(line));
  if (voice === 'http' && voiceUrl !== null && voiceAccount !== null && voiceToken !== null && voiceFrom !== null) {
    const callback = publicUrl === null ? null : `${publicUrl}/calls/provider`;
    const settings = { url: voiceUrl, account: voiceAccount, token: voiceToken, from: voiceFrom, callback };
    return providerVoice(settings, agentFor([voiceUrl], config, warn));
  }
  if (voice === 'sip' && sipAddress !== null) return sipVoice({ address: sipAddress, password: sipPassword });
  return null;
}

/** Of what must be read again: from the setting, or made once and kept beside the other secrets. */
async function vaultKey({ sealingKey }: Pick<Config, 'sealingKey'>, store: DiskStore): Promise<Uint8Array> {
  if (sealingKey === null) return store.secret('sealing', () => randomBytes(VAULT_KEY_BYTES));
  return new Uint8Array(hkdfSync('sha256', sealingKey, '', 'lading sealing key', VAULT_KEY_BYTES));
}

/** What is known of who may sign in, without a server. */
export interface OfflineIdentity {
  identity: Identity;
  audit: Audit;
  /** Where files are sent on to. */
  targets(): Promise<Targets>;
  close(): Promise<void>;
}

/**
 * Opens it in a data directory that no server uses, and locks that meanwhile. Damaged documents are passed over, as the server does.
 * @returns null when there is no data of a server; with `make` an empty directory is begun instead
 * @throws Error that says so while a server uses the directory
 */
export async function openIdentity(
  {
    dataDir,
    refreshDays,
    sealingKey = null,
  }: Pick<Config, 'dataDir' | 'refreshDays'> & Partial<Pick<Config, 'sealingKey'>>,
  { make = false }: { make?: boolean } = {},
): Promise<OfflineIdentity | null> {
  if (!make && !(await hasData(dataDir))) return null;
  const store = await openDiskStore({ dataDir, workers: 1 });
  // Nothing is recovered here, so an unclean stop stays one.
  const closeStore = (): Promise<void> => store.close({ clean: store.wasClean });
  try {
    const stores = await identityStores(
      store,
      () => {},
      () => {},
    );
    const clock = new SteadyClock({ kept: await store.dateBox.read() });
    const identity = await Identity.open(stores, clock, { refreshSeconds: refreshDays * 24 * 3600 });
    const failed = (_entry: object, error: unknown): void => {
      throw error;
    };
    const audit = new Audit({ log: store.auditLog, clock, failed });
    const close = async (): Promise<void> => {
      await identity.close();
      await audit.close();
      await closeStore();
    };
    const targets = async (): Promise<Targets> => {
      const files = store.documents('targets');
      const idOf = ({ id }: TargetDocument): string => id;
      const documents = await openLowdbCollection({ files, check: checkTarget, idOf, onDamaged: () => {} });
      return Targets.open(documents, new Vault(await vaultKey({ sealingKey }, store)), clock);
    };
    return { identity, audit, targets, close };
  } catch (error) {
    await closeStore();
    throw error;
  }
}

async function identityStores(
  store: DiskStore,
  onDamaged: OnDamaged,
  onMended: OnMendedDocument,
): Promise<IdentityStores> {
  const open = <T extends { id: string }>(name: CollectionName, check: Check<T>): Promise<Collection<T>> =>
    openLowdbCollection({ files: store.documents(name), check, idOf: ({ id }: T) => id, onDamaged, onMended });
  const clients = openLowdbCollection({
    files: store.documents('clients'),
    check: checkClient,
    idOf: ({ clientId }) => clientId,
    onDamaged,
    onMended,
  });
  return {
    clients: await clients,
    people: await open('people', checkPerson),
    signIns: await open('sign-ins', checkSignIn),
    apiTokens: await open('api-tokens', checkApiToken),
    revocations: await open('revocations', checkRevocation),
    shares: await open('shares', checkShare),
    grants: await open('grants', checkGrant),
    tenants: await open('tenants', checkTenant),
  };
}

type Warn = (message: string, details: object) => void;

/** Connections to what these settings name. */
function agentFor(trusted: string[], { webhookPrivate }: Config, warn: Warn): Agent {
  const refused = (origin: string): void =>
    warn('not connected: this is not of the public internet, and no setting names it', { origin });
  return outgoingAgent({ trusted, allowPrivate: webhookPrivate === 'on', timeoutMs: 10_000, refused });
}

function outsideProviders(config: Config, clock: Clock, warn: Warn): OutsideProvider[] {
  const { oidcIssuer: issuer, oidcClientId, oidcClientSecret, yandexClientId, yandexClientSecret } = config;
  const { yandexOauthUrl: oauthUrl, yandexLoginUrl: loginUrl } = config;
  const found: OutsideProvider[] = [];
  if (issuer !== null && oidcClientId !== null && oidcClientSecret !== null) {
    const fetch = fetchThrough(agentFor([issuer], config, warn));
    found.push(openIdProvider(issuer, { clientId: oidcClientId, clientSecret: oidcClientSecret, fetch, clock }));
  }
  if (yandexClientId !== null && yandexClientSecret !== null && oauthUrl !== null && loginUrl !== null) {
    const fetch = fetchThrough(agentFor([oauthUrl, loginUrl], config, warn));
    const client = { clientId: yandexClientId, clientSecret: yandexClientSecret, fetch, clock };
    found.push(yandexProvider({ oauthUrl, loginUrl }, client));
  }
  return found;
}

interface Parts {
  config: Config;
  store: DiskStore;
  kept: KeptClock;
  clock: Clock;
  log: Logger;
  output: LogOutput;
  identity: Identity;
  audit: Audit;
  engine: Engine;
  deliveries: Deliveries;
  calls: Calls;
  audio: AudioLibrary;
  events: Events;
  server: FastifyInstance;
  sweeper: Timetable;
  sweepAll(): Promise<void>;
  enter(state: ServerState): void;
}

/** The start in order, and the stop in reverse. */
function lifecycle(parts: Parts): App {
  const { config, store, kept, clock, log, identity, audit, engine, deliveries, calls, audio, events, server } = parts;
  const { sweeper, sweepAll, enter } = parts;
  /** True once recovery has looked at everything that an unclean stop may have left. */
  let recovered = false;
  let closing: Promise<void> | null = null;

  async function start(show?: (admin: FirstAdmin) => void): Promise<string> {
    await server.listen({ host: config.host, port: config.port });
    // Not before the address is known to be free: the secret is shown once, and a start that fails shows nothing.
    await ensureAdmin(identity, configuredAdmin(config), show);
    const began = clock.monotonic();
    const found = await engine.start(store.wasClean);
    recovered = true;
    log.info({ ...found, clean: store.wasClean, ms: Math.round(clock.monotonic() - began) }, 'recovered');
    if (closing === null) {
      enter('ready');
      deliveries.start();
      void sweepAll();
      sweeper.start();
    }
    return addressOf(server, config);
  }

  async function close(): Promise<void> {
    enter('stopping');
    sweeper.stop();
    const patience = config.shutdownSeconds * 1000;
    // Downloads have the same patience as chunks; what is left of either then is cut, when those who send have been told why.
    const cut = setTimeout(() => server.server.closeAllConnections(), patience + LAST_ANSWERS_MS);
    const closed = server.close();
    // Node closes the idle connections of now; one whose last answer is still to come would be kept for another request.
    const idle = setInterval(() => Server.prototype.closeIdleConnections.call(server.server), IDLE_LOOK_MS);
    const ended = await engine.stop(patience);
    await closed;
    clearInterval(idle);
    clearTimeout(cut);
    await deliveries.stop();
    await calls.close();
    await audio.close();
    events.close();
    await identity.close();
    await audit.close();
    await kept.close();
    // A start that did not come so far as to check what an unclean stop left must not vouch for it.
    await store.close({ clean: ended && (recovered || store.wasClean) });
  }

  void store.lost.then(() => {
    log.fatal({ data_dir: config.dataDir }, 'the data directory was moved, unmounted or replaced; the server stops');
    // Nothing may be acknowledged any more that the next server would not find.
    enter('stopping');
  });
  return {
    server,
    engine,
    log,
    lost: store.lost,
    start,
    reload: () => reload(parts),
    writeLastLines: () => parts.output.end(),
    close: () => {
      closing ??= close();
      return closing;
    },
  };
}

function reload({ config, log, output, server }: Parts): void {
  try {
    output.reopen();
  } catch (error) {
    log.error({ err: error }, 'the log file could not be opened again; the old one is used on');
  }
  try {
    const tls = readTls(config);
    if (tls !== null) replaceCertificate(server.server, tls);
  } catch (error) {
    log.error({ err: error }, 'the TLS certificate could not be read again; the old one is used on');
    return;
  }
  log.info({ tls: config.tls !== null, log_file: config.logFile }, 'reloaded');
}

function configuredAdmin({ adminId, adminSecret }: Config): FirstAdmin | null {
  return adminId !== null && adminSecret !== null ? { id: adminId, secret: adminSecret } : null;
}

async function sweep({
  engine,
  identity,
  deliveries,
  calls,
  keys,
  log,
}: Pick<Parts, 'engine' | 'identity' | 'deliveries' | 'calls' | 'log'> & { keys: JwtKeys }) {
  const swept = await engine.sweep();
  if (Object.values(swept).some((count) => count > 0)) log.info(swept, 'swept');
  try {
    await identity.sweep();
    if (keys instanceof KeyRing) await keys.sweep();
    await deliveries.sweep();
    await calls.sweep();
  } catch (error) {
    log.error(
      { err: error },
      'what has lapsed of sign-ins, keys, deliveries and calls could not be put away; the next sweep tries again',
    );
  }
}

function addressOf(server: FastifyInstance, config: Config): string {
  const { address, family, port } = server.server.address() as AddressInfo;
  const host = family === 'IPv6' ? `[${address}]` : address;
  return `${config.tls ? 'https' : 'http'}://${host}:${port}`;
}
