/** An engine over the memory back end whose storage operations proceed as the test decides, and what can be asked of it. */
import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import type { Store } from '../../../src/contracts/store.ts';
import { Engine } from '../../../src/engine/engine.ts';
import type { EngineSettings } from '../../../src/engine/parts.ts';
import { LadingError } from '../../../src/errors.ts';
import { sum256 } from '../../../src/protocol/chunk.ts';
import { MemoryStorage } from '../../../src/storage/memory/storage.ts';
import { handClock } from '../../support/product/clock.ts';
import { content, OWNER } from '../../support/product/device.ts';
import { DEFAULTS } from '../../support/product/engine.ts';
import { readBack, sendChunk } from '../../support/wire/chunks.ts';
import type { Cells, Chunk, State } from './states.ts';
import { Turns } from './turns.ts';

/** Bytes of a cell. Two cells do not fit into a sector, so that a loss of power can tear a chunk. */
export const CELL = 300;
/** The bytes of this version are only sent with a wrong checksum. */
export const CORRUPT = 99;
const VERSIONS = [1, 2, 3, 4, CORRUPT];

/** What a client sees of a name. */
export interface Sight {
  status: 'pending' | 'partial' | 'complete';
  /** Cells of the unfinished upload by the gaps of its status, or null: true for those that are stored. */
  upload: boolean[] | null;
  /** What a download gives: cells, with 0 for gaps. Null: nothing. */
  served: Cells | null;
}

interface Running {
  engine: Engine;
  store: Store;
}

export class World {
  readonly turns = new Turns();
  readonly clock = handClock();
  readonly warnings: string[] = [];
  readonly #storage = new MemoryStorage();
  readonly #settings: EngineSettings;
  #running: Running | null = null;

  private constructor(settings: Partial<EngineSettings>) {
    this.#settings = { ...DEFAULTS, bufferBytes: 2 * 1024 ** 2, staleRemoveDays: 0, ...settings };
  }

  static async start(settings: Partial<EngineSettings>): Promise<World> {
    const world = new World(settings);
    await world.#start();
    return world;
  }

  get engine(): Engine {
    return this.#now.engine;
  }

  /** False once the machine has lost power under this engine. */
  isAlive(engine: Engine): boolean {
    return this.#running?.engine === engine;
  }

  get #now(): Running {
    assert.ok(this.#running, 'an engine runs');
    return this.#running;
  }

  async #start(): Promise<void> {
    const store = await this.finished(this.#storage.open(this.turns.scheduler));
    const onDamaged = (key: string): void => assert.fail(`the document ${key} is damaged`);
    const catalog = await store.openCatalog({ onDamaged });
    const warn = (message: string, details: object): void => {
      this.warnings.push(
        `${message}: ${JSON.stringify(details, (_, value) => (value instanceof Error ? String(value) : value))}`,
      );
    };
    const engine = new Engine({ ...store, catalog, clock: this.clock, warn }, this.#settings);
    await this.finished(engine.start(store.wasClean));
    this.#running = { engine, store };
  }

  /** The machine loses power as it stands, and the engine starts on what is left. */
  async crash(random: (() => number) | null): Promise<void> {
    const { engine } = this.#now;
    this.#running = null;
    this.#storage.crash(random);
    this.turns.releaseAll();
    // What is left of the old engine ends without touching the storage.
    await this.finished(engine.stop(0));
    await this.#start();
  }

  /** A clean stop and a start. Requests that run are finished first. */
  async restart(): Promise<void> {
    const { engine, store } = this.#now;
    assert.ok(await this.finished(engine.stop(0)), 'the stop is clean');
    await this.finished(store.close({ clean: true }));
    await this.#start();
  }

  /** Lets operations go on, in the order of their begin, until this has ended. */
  async finished<T>(work: Promise<T>): Promise<T> {
    let over = false;
    const end = (): void => {
      over = true;
      this.turns.noteActivity();
    };
    work.then(end, end);
    while (!over) {
      await this.turns.quiet();
      if (!over && this.turns.waiting > 0) await this.turns.release(0);
    }
    return await work;
  }

  /** Resolves with the error code of a refusal; null: it was accepted. */
  async sendChunk(
    name: string,
    { version, size, first, count, overwrite }: Chunk,
    damage: Damage,
  ): Promise<string | null> {
    const bytes = content(first * CELL, count * CELL, damage === 'checksum' ? CORRUPT : version);
    const { code } = await sendChunk(this.engine, {
      ...{ owner: OWNER, name, overwrite, bytes },
      start: first * CELL,
      checksum: (sum256(bytes) + (damage === 'checksum' ? 1 : 0)) & 0xff,
      declaredSize: size * CELL,
      cut: damage === 'cut' || damage === 'broken' ? 1 : 0,
      breaks: damage === 'broken',
    });
    return code;
  }

  async sendFile(name: string, version: number, size: number, newest: boolean): Promise<string | null> {
    const source = Readable.from([Buffer.from(content(0, size * CELL, version))]);
    const intent = { owner: OWNER, name, overwrite: true, newest, contentType: null, reprDigest: null, minSize: 0 };
    return codeOf(this.engine.receiveFile(source, intent, async () => null));
  }

  remove(name: string): Promise<string | null> {
    return codeOf(this.engine.remove(OWNER, name));
  }

  cancel(name: string): Promise<string | null> {
    return codeOf(this.engine.cancel(OWNER, name));
  }

  /** What a download gives. Fails when a cell has bytes of more than one version. */
  async read(name: string): Promise<Cells | null> {
    const bytes = await readBack(this.engine, OWNER, name, 8 * CELL);
    if (bytes.length === 0) return null;
    const cells: number[] = [];
    for (let start = 0; start < bytes.length; start += CELL) {
      const cell = bytes.slice(start, start + CELL);
      cells.push(cell.every((byte) => byte === null) ? 0 : versionOf(name, cell, start));
    }
    return cells;
  }

  /** What a client sees of a name. To be called while nothing else runs. */
  async look(name: string): Promise<Sight> {
    const status = await this.finished(this.engine.status(OWNER, name));
    const served = await this.finished(this.read(name));
    if (status.status !== 'partial') return { status: status.status, upload: null, served };
    const upload = new Array<boolean>((status.total_bytes ?? 0) / CELL).fill(true);
    for (const [from, to] of status.missing) upload.fill(false, from / CELL, (to + 1) / CELL);
    assert.equal(status.bytes_received, upload.filter(Boolean).length * CELL, `${name}: bytes_received`);
    return { status: 'partial', upload, served };
  }

  /**
   * Listings, usage and stored bytes agree with these states. To be called while nothing else runs.
   * @param exact nothing may be left over from operations that failed
   */
  async assertAgrees(states: ReadonlyMap<string, State>, exact: boolean): Promise<void> {
    const { engine, store } = this.#now;
    const query = { owner: OWNER, prefix: '', cursor: null, limit: 100, status: null };
    const { files } = await this.finished(engine.list(query));
    const uploads = [...states.values()].flatMap(({ upload }) => (upload ? [upload] : []));
    const complete = [...states.values()].flatMap(({ file }) => (file ? [file] : []));
    const listed = [...states].filter(([, { file, upload }]) => file ?? upload);
    assert.deepEqual(
      files.map(({ filename, status }) => [filename, status]),
      listed.map(([name, { upload }]) => [name, upload ? 'partial' : 'complete']),
      'the list of files',
    );
    const transfers = engine.transfers(() => true);
    assert.equal(transfers.length, uploads.length, 'transfers');
    const cells = [...uploads.flatMap((upload) => upload.filter(Boolean)), ...complete.flat()].length;
    const { bytes, openUploads } = engine.usage(OWNER);
    const open = transfers.filter(({ file }) => !file.stale).length;
    assert.deepEqual({ bytes, openUploads }, { bytes: cells * CELL, openUploads: open }, 'usage');
    if (!exact) return;
    const stored = await this.finished(store.blobs.list());
    assert.equal(stored.length, uploads.length + complete.length, 'files in the storage');
    assert.deepEqual(this.warnings, []);
  }

  async close(): Promise<void> {
    if (!this.#running) return;
    const { engine, store } = this.#running;
    await this.finished(engine.stop(0));
    await this.finished(store.close());
  }
}

export type Damage = 'none' | 'checksum' | 'cut' | 'broken';

function versionOf(name: string, cell: readonly (number | null)[], start: number): number {
  // A cell that was stored while it was read may begin with a gap.
  const version = VERSIONS.find((one) => {
    const bytes = content(start, cell.length, one);
    return cell.every((byte, at) => byte === null || byte === bytes[at]);
  });
  assert.ok(version !== undefined, `${name}: the bytes from ${start} on are those of no version`);
  assert.notEqual(version, CORRUPT, `${name}: bytes are served that were never verified`);
  return version;
}

async function codeOf(request: Promise<unknown>): Promise<string | null> {
  try {
    await request;
    return null;
  } catch (error) {
    if (error instanceof LadingError) return error.code;
    throw error;
  }
}
