/**
 * Files that are sent to a server which dies now and then, and what the server acknowledged. The caller that runs the server (an
 * engine in this process, or a separate process) passes a `Remote`; afterwards `inspect` compares the state of the server with
 * its acknowledgements.
 */
import assert from 'node:assert/strict';
import { crc32, hex32 } from '../../src/protocol/crc32.ts';
import type { FileStatus } from '../../src/protocol/schemas/files.ts';
import { content } from '../support/product/device.ts';
import type { Random } from '../support/random.ts';
import { type Edition, type Extents, Lost, type Remote, type SendOptions } from './remote.ts';

const MAX_CHUNK = 6000;

export class Cargo {
  readonly name: string;
  /** Whether its chunks say how long the file is. */
  readonly declared: boolean;
  /** What is being sent, or complete. */
  now: Edition;
  /** Cells of `now` that the server said it has. */
  acked: Uint8Array;
  /** The server said that `now` is complete for good. */
  sealed = false;
  /** The complete file that `now` replaces. */
  old: Edition | null = null;
  /** A deletion was asked for; the answer did not come yet. */
  removing = false;
  /** A whole file was sent in place of all that; the answer did not come yet. */
  putting: Edition | null = null;
  /** The end of the unfinished upload alone was asked for; the answer did not come yet. */
  cancelling = false;
  #seeds = 1;
  readonly #random: Random;

  constructor(name: string, declared: boolean, random: Random) {
    this.name = name;
    this.declared = declared;
    this.#random = random;
    this.now = this.#edition(1);
    this.acked = new Uint8Array(this.now.size);
  }

  /** As it stands, for a look at what a crash at this moment leaves. */
  copy(random: Random): Cargo {
    const copy = new Cargo(this.name, this.declared, random);
    copy.now = { ...this.now };
    copy.old = this.old && { ...this.old };
    copy.acked = this.acked.slice();
    copy.sealed = this.sealed;
    copy.removing = this.removing;
    copy.putting = this.putting && { ...this.putting };
    copy.cancelling = this.cancelling;
    copy.#seeds = this.#seeds;
    return copy;
  }

  #edition(seed: number): Edition {
    const size = this.#random.once(8) ? this.#random.int(100_000, 300_000) : this.#random.int(1, 20_000);
    return { seed, size, id: null };
  }

  #begin(old: Edition | null): void {
    this.old = old;
    this.now = this.#next();
    this.acked = new Uint8Array(this.now.size);
    this.sealed = false;
    this.removing = false;
    this.cancelling = false;
  }

  /** What no edition before had in it. */
  #next(): Edition {
    this.#seeds += 1;
    return this.#edition(this.#seeds);
  }

  /** This edition is the complete file of the name, and all there is. */
  #is(edition: Edition): void {
    this.now = edition;
    this.old = null;
    this.acked = new Uint8Array(edition.size).fill(1);
    this.sealed = true;
    this.putting = null;
    this.cancelling = false;
  }

  /** One thing that a device might do next. */
  async step(remote: Remote): Promise<void> {
    if (this.putting || (!this.removing && !this.cancelling && this.#random.once(25))) return await this.#put(remote);
    if (this.cancelling || (this.old !== null && this.now.id !== null && this.#random.once(15)))
      return await this.#cancel(remote);
    if (this.#random.once(20)) await remote.sweep();
    if (this.sealed && !this.removing && this.#random.once(3)) return await this.#repeat(remote);
    if (this.removing || (this.sealed && (!this.declared || this.#random.once(2)))) return await this.#remove(remote);
    if (this.sealed) this.#begin(this.now);
    const gaps = this.#gaps();
    if (gaps.length > 0) return await this.#sendSome(remote, gaps);
    // Everything was acknowledged, but not that it is complete: the server died over it, or it waits to be told.
    if (this.declared) return await this.#repeat(remote);
    await remote.complete(this.name);
    this.sealed = true;
  }

  /** Sends whatever is missing and sees that the file is right. */
  async finish(remote: Remote): Promise<void> {
    if (this.removing) await this.#remove(remote);
    if (this.putting) await this.#put(remote);
    if (this.cancelling) await this.#cancel(remote);
    for (let steps = 0; !this.sealed; steps += 1) {
      assert.ok(steps < 10_000, `${this.name} never gets complete`);
      await this.step(remote);
    }
    const { size, seed } = this.now;
    const status = await remote.status(this.name);
    assert.equal(status.status, 'complete', this.name);
    assert.equal(status.total_bytes, size, this.name);
    assert.equal(status.crc32, hex32(crc32(content(0, size, seed))), this.name);
    assert.deepEqual(await remote.read(this.name, 0, size - 1), Buffer.from(content(0, size, seed)), this.name);
  }

  #gaps(): Extents {
    return runsOf(this.acked, 0);
  }

  get #sending(): SendOptions {
    return { declaredSize: this.declared ? this.now.size : null, overwrite: this.old !== null };
  }

  /** Up to three chunks at the same time, somewhere in what is missing. */
  async #sendSome(remote: Remote, gaps: Extents): Promise<void> {
    const chosen = this.declared ? this.#random.shuffled(gaps).slice(0, 3) : gaps.slice(0, 2);
    const outcomes = await Promise.allSettled(
      chosen.map(async ([from, to]) => {
        const start = this.#random.once(3) ? this.#random.int(from, to) : from;
        const most = this.#random.once(10) ? to - start + 1 : MAX_CHUNK;
        await this.#send(remote, start, Math.min(to, start + this.#random.int(1, most) - 1));
      }),
    );
    const failures = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason] : []));
    // Whatever the server said that it should not have said counts more than that it died.
    if (failures.length > 0) throw failures.find((failure) => !(failure instanceof Lost)) ?? failures[0];
  }

  async #send(remote: Remote, start: number, end: number): Promise<void> {
    const edition = this.now;
    const bytes = content(start, end - start + 1, edition.seed);
    const status = await remote.send(this.name, start, bytes, this.#sending);
    this.#acknowledged(edition, status, start, end);
  }

  #acknowledged(edition: Edition, status: FileStatus, start: number, end: number): void {
    assert.equal(edition.id ?? status.id, status.id, `${this.name}: the upload has another id than before`);
    edition.id = status.id;
    this.acked.fill(1, start, end + 1);
    if (!this.declared || status.status !== 'complete') return;
    this.sealed = true;
    this.old = null;
  }

  /** A range once more that the server has already, as after a lost answer. */
  async #repeat(remote: Remote): Promise<void> {
    const end = this.#random.int(0, this.now.size - 1);
    const start = this.#random.int(Math.max(0, end - MAX_CHUNK), end);
    const bytes = content(start, end - start + 1, this.now.seed);
    // A replacement that may be complete by now is not asked for again: that would begin the next one.
    const status = await remote.send(this.name, start, bytes, { ...this.#sending, overwrite: false });
    assert.equal(status.chunk?.duplicate, true, this.name);
    this.#acknowledged(this.now, status, start, end);
  }

  /** A whole file in one request; the unfinished upload of the name ends with it, and not before. */
  async #put(remote: Remote): Promise<void> {
    this.putting ??= this.#next();
    const edition = this.putting;
    const { id } = await remote.put(this.name, content(0, edition.size, edition.seed));
    this.#is({ ...edition, id });
  }

  /** Ends a replacement; the file that it would have replaced stays. */
  async #cancel(remote: Remote): Promise<void> {
    this.cancelling = true;
    const ended = await remote.cancel(this.name);
    const { old } = this;
    // It may have become complete before, or ended already.
    if (old && (ended || (await remote.status(this.name)).id === old.id)) this.#is(old);
    this.cancelling = false;
  }

  async #remove(remote: Remote): Promise<void> {
    this.removing = true;
    await remote.remove(this.name);
    this.#begin(null);
  }

  /**
   * What the server knows after it died, compared with what it acknowledged before.
   * @param strict every acknowledged byte must be there; else only what was sealed, but nothing that is wrong
   */
  async inspect(remote: Remote, strict: boolean): Promise<void> {
    const status = await remote.status(this.name);
    const say = (what: string): string =>
      `${what}: ${JSON.stringify({ ...status, missing: status.missing.slice(0, 9) })}, expected ${this.#describe()}`;
    if (this.putting !== null) {
      const { size, seed } = this.putting;
      const crc = hex32(crc32(content(0, size, seed)));
      const there = status.status === 'complete' && status.total_bytes === size && status.crc32 === crc;
      if (there) this.#is({ ...this.putting, id: status.id });
      else this.putting = null;
    }
    if (status.status === 'pending') {
      const nothing = this.removing || (this.now.id === null && this.old === null);
      assert.ok(nothing, say('what was acknowledged is gone'));
      this.#begin(null);
      return;
    }
    if (this.old !== null && status.id === this.old.id) {
      assert.ok(this.now.id === null || this.cancelling, say('the replacement is gone'));
      await this.#isWhole(remote, this.old, say);
      if (this.cancelling) this.#is(this.old);
      return;
    }
    if (this.now.id !== null) assert.equal(status.id, this.now.id, say('another upload than before'));
    this.now.id = status.id;
    const stored = storedIn(status, this.now.size);
    if (strict)
      assert.ok(!this.acked.some((cell, at) => cell === 1 && stored[at] !== 1), say('acknowledged bytes are missing'));
    if (this.sealed) assert.equal(status.status, 'complete', say('the file is not complete any more'));
    if (status.status === 'complete' && this.declared) {
      await this.#isWhole(remote, this.now, say);
      this.old = null;
      this.sealed = true;
    } else if (this.old !== null) {
      // The upload's own bytes show once it is complete; until then the old file does.
      await this.#isWhole(remote, this.old, say);
    } else {
      // An undeclared upload with gaps that continues a complete file: readers get that file until there are no gaps.
      const kept = !this.declared && status.status === 'partial' && status.readable;
      await this.#isRight(remote, stored, kept, say);
    }
    this.cancelling = false;
    this.acked = stored;
  }

  /**
   * Everything that can be read of an upload is its true content.
   * @param kept readers get a complete file, which may be shorter
   */
  async #isRight(remote: Remote, stored: Uint8Array, kept: boolean, say: (what: string) => string): Promise<void> {
    for (const [from, to] of runsOf(stored, 1)) {
      const bytes = await remote.read(this.name, from, to);
      if (bytes === null && kept) continue;
      assert.ok(bytes?.equals(content(from, to - from + 1, this.now.seed)), say(`bytes ${from}-${to} are not right`));
    }
  }

  async #isWhole(remote: Remote, edition: Edition, say: (what: string) => string): Promise<void> {
    const bytes = await remote.read(this.name, 0, edition.size - 1);
    assert.ok(bytes?.equals(content(0, edition.size, edition.seed)), say('the complete file is not whole and right'));
  }

  #describe(): string {
    const { now, old, sealed, removing, putting, cancelling } = this;
    return JSON.stringify({
      now,
      old,
      sealed,
      removing,
      putting,
      cancelling,
      acked: runsOf(this.acked, 1).slice(0, 9),
    });
  }
}

/** The cells that a status object says are stored. */
function storedIn(status: FileStatus, size: number): Uint8Array {
  assert.ok(!status.missing_more, 'more gaps than this test makes');
  assert.ok((status.total_bytes ?? 0) <= size);
  const stored = new Uint8Array(size);
  stored.fill(1, 0, status.total_bytes ?? 0);
  for (const [start, end] of status.missing) stored.fill(0, start, end + 1);
  assert.equal(
    stored.reduce((sum, cell) => sum + cell, 0),
    status.bytes_received,
  );
  return stored;
}

/** Runs of cells that have this value, inclusive. */
function runsOf(cells: Uint8Array, value: number): Extents {
  const runs: Extents = [];
  for (let from = cells.indexOf(value); from >= 0; from = cells.indexOf(value, from)) {
    const next = cells.indexOf(1 - value, from);
    const end = next < 0 ? cells.length : next;
    runs.push([from, end - 1]);
    from = end;
  }
  return runs;
}
