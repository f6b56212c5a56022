/** A wrapper around the dependencies of an engine that counts each call, and can delay it or make it fail. */

import type { Part, SegmentJob } from '../../../src/contracts/blobs.ts';
import type { Manifest, ManifestRecord } from '../../../src/contracts/manifests.ts';
import type { EngineDeps } from '../../../src/engine/parts.ts';
import { settle } from '../product/device.ts';

export type Operation =
  | 'blobs.create'
  | 'blobs.openPart'
  | 'blobs.seal'
  | 'blobs.link'
  | 'blobs.remove'
  | 'part.write'
  | 'part.sync'
  | 'manifests.create'
  | 'manifests.open'
  | 'manifests.read'
  | 'manifests.rewrite'
  | 'manifest.append'
  | 'manifest.sync'
  | 'catalog.find'
  | 'catalog.put'
  | 'catalog.amend'
  | 'catalog.remove'
  | 'inspector.digest'
  | 'inspector.verify';

export type Moment = 'before' | 'after';

export interface Gate {
  /** Resolves when an operation has reached the gate. */
  reached: Promise<void>;
  /** Lets the operation continue, or makes it fail with this error. */
  open(error?: Error): void;
}

interface Hold {
  operation: Operation;
  moment: Moment;
  arrive(): void;
  pass: Promise<void>;
}

export class Tap {
  /** All operations in the order of their start. */
  readonly calls: Operation[] = [];
  readonly jobs: SegmentJob[] = [];
  readonly appended: ManifestRecord[][] = [];
  #holds: Hold[] = [];
  /** The number of running operations that are not held at a gate. */
  #running = 0;

  /** Resolves when no call is running and none begins in several turns of the event loop. */
  async quiet(): Promise<void> {
    for (let before = -1; before !== this.calls.length || this.#running > 0; ) {
      before = this.calls.length;
      await settle();
    }
  }

  count(operation: Operation): number {
    return this.calls.filter((call) => call === operation).length;
  }

  reset(): void {
    this.calls.length = 0;
    this.jobs.length = 0;
    this.appended.length = 0;
  }

  /** Holds the next operation of this kind. */
  hold(operation: Operation, moment: Moment = 'before'): Gate {
    let arrive = (): void => {};
    let pass: (error?: Error) => void = () => {};
    const reached = new Promise<void>((resolve) => {
      arrive = resolve;
    });
    const passed = new Promise<void>((resolve, reject) => {
      pass = (error) => (error ? reject(error) : resolve());
    });
    passed.catch(() => {});
    this.#holds.push({ operation, moment, arrive, pass: passed });
    return { reached, open: (error) => pass(error) };
  }

  /** Makes the next operation of this kind fail; with `after`, once it was carried out. */
  fail(operation: Operation, error: Error, moment: Moment = 'before'): void {
    this.hold(operation, moment).open(error);
  }

  async run<T>(operation: Operation, work: () => Promise<T>): Promise<T> {
    this.calls.push(operation);
    this.#running += 1;
    try {
      await this.#at(operation, 'before');
      const result = await work();
      await this.#at(operation, 'after');
      return result;
    } finally {
      this.#running -= 1;
    }
  }

  async #at(operation: Operation, moment: Moment): Promise<void> {
    const hold = this.#holds.find((one) => one.operation === operation && one.moment === moment);
    if (!hold) return;
    this.#holds = this.#holds.filter((one) => one !== hold);
    hold.arrive();
    this.#running -= 1;
    try {
      await hold.pass;
    } finally {
      this.#running += 1;
    }
  }

  /** Wraps the dependencies of an engine. */
  readonly wrap = (deps: EngineDeps): EngineDeps => {
    const { blobs, manifests, catalog, inspector } = deps;
    const run = this.run.bind(this);
    return {
      ...deps,
      blobs: {
        create: (id) => run('blobs.create', () => blobs.create(id)),
        openPart: (id) => run('blobs.openPart', async () => this.#part(await blobs.openPart(id))),
        seal: (id, size) => run('blobs.seal', () => blobs.seal(id, size)),
        openReader: (id) => blobs.openReader(id),
        size: (id) => blobs.size(id),
        link: (from, to) => run('blobs.link', () => blobs.link(from, to)),
        remove: (id) => run('blobs.remove', () => blobs.remove(id)),
        list: () => blobs.list(),
      },
      manifests: {
        create: (id) => run('manifests.create', () => manifests.create(id)),
        read: (id) => run('manifests.read', () => manifests.read(id)),
        open: (id) => run('manifests.open', async () => this.#manifest(await manifests.open(id))),
        rewrite: (id, records) => run('manifests.rewrite', () => manifests.rewrite(id, records)),
      },
      catalog: {
        find: (owner, name) => run('catalog.find', () => catalog.find(owner, name)),
        list: (query) => catalog.list(query),
        listOpen: () => catalog.listOpen(),
        has: (id) => catalog.has(id),
        get: (id) => catalog.get(id),
        put: (document) => run('catalog.put', () => catalog.put(document)),
        amend: (id, change) => run('catalog.amend', () => catalog.amend(id, change)),
        remove: (id) => run('catalog.remove', () => catalog.remove(id)),
        subscribe: (listener) => catalog.subscribe(listener),
      },
      inspector: {
        digest: (id, algorithm, extent, prefix) =>
          run('inspector.digest', () => inspector.digest(id, algorithm, extent, prefix)),
        digestParts: (parts, algorithm, prefix) =>
          run('inspector.digest', () => inspector.digestParts(parts, algorithm, prefix)),
        verify: (id, records) => run('inspector.verify', () => inspector.verify(id, records)),
      },
    };
  };

  #part(part: Part): Part {
    return {
      write: (job) => {
        this.jobs.push(job);
        return this.run('part.write', () => part.write(job));
      },
      sync: () => this.run('part.sync', () => part.sync()),
      read: (into, position) => part.read(into, position),
      truncate: (size) => part.truncate(size),
      release: () => part.release(),
    };
  }

  #manifest(manifest: Manifest): Manifest {
    return {
      append: (records, durable) => {
        this.appended.push([...records]);
        return this.run('manifest.append', () => manifest.append(records, durable));
      },
      sync: () => this.run('manifest.sync', () => manifest.sync()),
      release: () => manifest.release(),
    };
  }
}
