/**
 * A device that sends files under one name to a server that crashes, and what the server acknowledged. The caller runs the server (an
 * engine in this process, or a separate process) and passes a `Remote`. After a crash, `inspect` compares the state of the server with
 * its acknowledgements.
 */
import assert from 'node:assert/strict';
import { crc32, hex32 } from '../../src/protocol/crc32.ts';
import type { FileStatus } from '../../src/protocol/schemas/files.ts';
import { content } from '../support/product/device.ts';
import type { Random } from '../support/random.ts';
import { runsOf, storedIn } from './ranges.ts';
import { type Edition, type Extents, Lost, type Remote, type SendOptions } from './remote.ts';

const MAX_CHUNK = 6000;

/** Adds the reported and the expected state to the text of a failed assertion. */
type Message = (what: string) => string;

/** The files of one name: the current upload or complete file, and requests without an answer. */
export class Cargo {
  readonly name: string;
  /** Whether its chunks declare the size of the file. */
  readonly declared: boolean;
  /** The current upload or complete file. */
  now: Edition;
  /** The bytes of `now` that the server has acknowledged: 1 for each such byte. */
  acked: Uint8Array;
  /** The server has acknowledged that `now` is complete. */
  sealed = false;
  /** The complete file that `now` replaces. */
  old: Edition | null = null;
  /** A deletion was requested and is not answered yet. */
  removing = false;
  /** A file that was sent in one request, which is not answered yet. */
  putting: Edition | null = null;
  /** The cancellation of the open upload was requested and is not answered yet. */
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

  /** A copy of the current state, to be compared with the state after a crash at this moment. */
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

  /** A new edition, whose content differs from all before. */
  #next(): Edition {
    this.#seeds += 1;
    return this.#edition(this.#seeds);
  }

  /** Records that this edition is the complete file of the name, without an open upload. */
  #setComplete(edition: Edition): void {
    this.now = edition;
    this.old = null;
    this.acked = new Uint8Array(edition.size).fill(1);
    this.sealed = true;
    this.putting = null;
    this.cancelling = false;
  }

  /** Sends one random request that a device might send next. */
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
    // Every byte is acknowledged, but not that the file is complete: the answer was lost, or the size is undeclared.
    if (this.declared) return await this.#repeat(remote);
    await remote.complete(this.name);
    this.sealed = true;
  }

  /** Sends the missing bytes and checks the complete file. */
  async finish(remote: Remote): Promise<void> {
    if (this.removing) await this.#remove(remote);
    if (this.putting) await this.#put(remote);
    if (this.cancelling) await this.#cancel(remote);
    for (let steps = 0; !this.sealed; steps += 1) {
      assert.ok(steps < 10_000, `${this.name} does not become complete`);
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

  /** Sends up to three chunks at the same time, at random places in the gaps. */
  async #sendSome(remote: Remote, gaps: Extents): Promise<void> {
    const chosen = this.declared ? this.#random.shuffled(gaps).slice(0, 3) : gaps.slice(0, 2);
    const outcomes = await Promise.allSettled(
      chosen.map(async ([from, to]) => {
        const start = this.#random.once(3) ? this.#random.int(from, to) : from;
        const maxLength = this.#random.once(10) ? to - start + 1 : MAX_CHUNK;
        await this.#send(remote, start, Math.min(to, start + this.#random.int(1, maxLength) - 1));
      }),
    );
    const failures = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason] : []));
    // A wrong answer takes precedence over a lost connection.
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

  /** Repeats a range that the server has, as a device does after a lost answer. */
  async #repeat(remote: Remote): Promise<void> {
    const end = this.#random.int(0, this.now.size - 1);
    const start = this.#random.int(Math.max(0, end - MAX_CHUNK), end);
    const bytes = content(start, end - start + 1, this.now.seed);
    // Without overwrite, because the replacement may be complete, and overwrite would begin the next one.
    const status = await remote.send(this.name, start, bytes, { ...this.#sending, overwrite: false });
    assert.equal(status.chunk?.duplicate, true, this.name);
    this.#acknowledged(this.now, status, start, end);
  }

  /** Sends a whole file in one request. The open upload of the name ends when this file is complete, and not before. */
  async #put(remote: Remote): Promise<void> {
    this.putting ??= this.#next();
    const edition = this.putting;
    const { id } = await remote.put(this.name, content(0, edition.size, edition.seed));
    this.#setComplete({ ...edition, id });
  }

  /** Cancels a replacement; the complete file stays. */
  async #cancel(remote: Remote): Promise<void> {
    this.cancelling = true;
    const ended = await remote.cancel(this.name);
    const { old } = this;
    // The replacement may have become complete, or may be cancelled already.
    if (old && (ended || (await remote.status(this.name)).id === old.id)) this.#setComplete(old);
    this.cancelling = false;
  }

  async #remove(remote: Remote): Promise<void> {
    this.removing = true;
    await remote.remove(this.name);
    this.#begin(null);
  }

  /**
   * Compares the state of the server after a crash with what it acknowledged before.
   * @param strict requires every acknowledged byte; otherwise only complete files, and no wrong bytes
   */
  async inspect(remote: Remote, strict: boolean): Promise<void> {
    const status = await remote.status(this.name);
    const message: Message = (what) =>
      `${what}: ${JSON.stringify({ ...status, missing: status.missing.slice(0, 9) })}, expected ${this.#describe()}`;
    if (this.putting !== null) {
      const { size, seed } = this.putting;
      const crc = hex32(crc32(content(0, size, seed)));
      const isStored = status.status === 'complete' && status.total_bytes === size && status.crc32 === crc;
      if (isStored) this.#setComplete({ ...this.putting, id: status.id });
      else this.putting = null;
    }
    if (status.status === 'pending') {
      const nothing = this.removing || (this.now.id === null && this.old === null);
      assert.ok(nothing, message('acknowledged bytes or files are lost'));
      this.#begin(null);
      return;
    }
    if (this.old !== null && status.id === this.old.id) {
      assert.ok(this.now.id === null || this.cancelling, message('the replacement is lost'));
      await this.#assertComplete(remote, this.old, message);
      if (this.cancelling) this.#setComplete(this.old);
      return;
    }
    if (this.now.id !== null) assert.equal(status.id, this.now.id, message('another upload than before'));
    this.now.id = status.id;
    const stored = storedIn(status, this.now.size);
    const isLost = this.acked.some((cell, at) => cell === 1 && stored[at] !== 1);
    assert.ok(!strict || !isLost, message('acknowledged bytes are missing'));
    if (this.sealed) assert.equal(status.status, 'complete', message('the file is not complete any more'));
    if (status.status === 'complete' && this.declared) {
      await this.#assertComplete(remote, this.now, message);
      this.old = null;
      this.sealed = true;
    } else if (this.old !== null) {
      // Readers get the old file until the upload is complete.
      await this.#assertComplete(remote, this.old, message);
    } else {
      // An undeclared upload with gaps that continues a complete file: readers get that file until there are no gaps.
      const kept = !this.declared && status.status === 'partial' && status.readable;
      await this.#assertStored(remote, stored, kept, message);
    }
    this.cancelling = false;
    this.acked = stored;
  }

  /**
   * Checks that all readable bytes of an upload are correct.
   * @param kept readers get the previous complete file, which may be shorter
   */
  async #assertStored(remote: Remote, stored: Uint8Array, kept: boolean, message: Message): Promise<void> {
    for (const [from, to] of runsOf(stored, 1)) {
      const bytes = await remote.read(this.name, from, to);
      if (bytes === null && kept) continue;
      assert.ok(bytes?.equals(content(from, to - from + 1, this.now.seed)), message(`bytes ${from}-${to} are wrong`));
    }
  }

  async #assertComplete(remote: Remote, edition: Edition, message: Message): Promise<void> {
    const bytes = await remote.read(this.name, 0, edition.size - 1);
    assert.ok(
      bytes?.equals(content(0, edition.size, edition.seed)),
      message('the complete file is incomplete or wrong'),
    );
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
