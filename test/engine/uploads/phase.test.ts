import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NEXT, type Phase, UploadPhase } from '../../../src/engine/uploads/phase.ts';
import { LadingError } from '../../../src/errors.ts';

const REASON = new LadingError('not_found', 'The upload was deleted.');
const never = (): Promise<void> => new Promise(() => {});

/** An upload in each phase, by the shortest way. */
const IN: Record<Phase, () => UploadPhase> = {
  creating: () => new UploadPhase('creating'),
  open: () => new UploadPhase('open'),
  parked: () => new UploadPhase('parked'),
  sealing: () => after(IN.open(), 'sealing'),
  replacing: () => after(IN.open(), 'replacing'),
  reverting: () => after(IN.open(), 'reverting'),
  sealed: () => after(IN.sealing(), 'sealed'),
  discarded: () => after(IN.open(), 'discarded'),
};

type Begun = Exclude<Phase, 'creating' | 'open' | 'parked'>;

const BEGIN: Record<Begun, (phase: UploadPhase) => unknown> = {
  sealing: (phase) => phase.beginSeal(),
  replacing: (phase) => phase.beginReplacement(never()),
  reverting: (phase) => phase.revert(REASON, never),
  sealed: (phase) => phase.becomeSealed(),
  discarded: (phase) => phase.discard(REASON),
};

function after(phase: UploadPhase, begun: Begun): UploadPhase {
  BEGIN[begun](phase);
  return phase;
}

/** The operations and ends that each phase allows. */
const ALLOWED: Record<Phase, Begun[]> = {
  creating: ['sealing', 'discarded'],
  open: ['sealing', 'replacing', 'reverting', 'discarded'],
  parked: ['sealing', 'replacing', 'reverting', 'discarded'],
  sealing: ['sealed', 'replacing', 'reverting', 'discarded'],
  replacing: ['discarded'],
  reverting: ['discarded'],
  sealed: [],
  discarded: [],
};
const PHASES = Object.keys(ALLOWED) as Phase[];

function assertForbidden(phase: UploadPhase, from: Phase, to: Phase, change: () => unknown): void {
  assert.throws(change, { message: `an upload cannot go from ${from} to ${to}` });
  assert.equal(phase.current, from);
}

test('each phase allows the operations of the table and refuses the others by name', () => {
  for (const from of PHASES) {
    for (const to of Object.keys(BEGIN) as Begun[]) {
      const phase = IN[from]();
      assert.equal(phase.current, from);
      if (ALLOWED[from].includes(to)) assert.equal(after(phase, to).current, to, `${from} to ${to}`);
      else assertForbidden(phase, from, to, () => BEGIN[to](phase));
    }
  }
});

test('every phase but the two ends can be left, and the ends cannot', () => {
  for (const phase of PHASES) {
    assert.equal(NEXT[phase].length === 0, phase === 'sealed' || phase === 'discarded', phase);
    assert.equal(NEXT[phase].includes('discarded'), NEXT[phase].length > 0, phase);
  }
});

test('a failed operation gives the upload back the phase in which it was', async () => {
  for (const from of ['creating', 'open', 'parked'] as const) {
    const sealing = after(IN[from](), 'sealing');
    sealing.sealFailed();
    assert.equal(sealing.current, from);
  }
  for (const from of ['open', 'parked', 'sealing'] as const) {
    const replacing = after(IN[from](), 'replacing');
    replacing.endReplacement();
    assert.equal(replacing.current, from);
    assert.equal(replacing.replacing, null);
    const reverting = IN[from]();
    const failure = new Error('the disk failed');
    await assert.rejects(
      reverting.revert(REASON, () => Promise.reject(failure)),
      failure,
    );
    assert.deepEqual([reverting.current, reverting.endReason, reverting.reverting], [from, null, null]);
  }
});

test('a failure without its operation is refused', () => {
  for (const from of ['creating', 'open', 'parked'] as const) {
    const phase = IN[from]();
    assertForbidden(phase, from, from, () => phase.sealFailed());
    assertForbidden(phase, from, from, () => phase.endReplacement());
  }
});

test('a seal that fails while another file takes the name leaves the upload to that file', () => {
  const phase = after(IN.sealing(), 'replacing');
  phase.sealFailed();
  assert.equal(phase.current, 'replacing');
  phase.endReplacement();
  assert.equal(phase.current, 'open');
});

test('an upload that was discarded stays discarded when its operations end', async () => {
  const sealing = after(IN.sealing(), 'discarded');
  sealing.sealFailed();
  const replacing = after(IN.replacing(), 'discarded');
  replacing.endReplacement();
  const reverting = IN.sealing();
  await reverting.revert(REASON, async () => reverting.discard(REASON));
  for (const phase of [sealing, replacing, reverting]) {
    assert.equal(phase.current, 'discarded');
    assert.equal(phase.endReason, REASON);
  }
});

test('parking, resuming and the first document change where an operation returns to', () => {
  for (const from of ['sealing', 'replacing', 'reverting'] as const) {
    const phase = IN[from]();
    phase.park();
    assert.deepEqual([phase.current, phase.isParked], [from, true]);
    phase.resume();
    assert.deepEqual([phase.current, phase.isParked], [from, false]);
  }
  const created = after(IN.creating(), 'sealing');
  created.becomeVisible();
  created.sealFailed();
  assert.equal(created.current, 'open');
});

test('only an open upload parks, and only a parked one resumes', () => {
  for (const from of ['creating', 'parked', 'sealed', 'discarded'] as const) {
    const phase = IN[from]();
    assertForbidden(phase, from, 'parked', () => phase.park());
  }
  for (const from of ['creating', 'open', 'discarded'] as const) {
    const phase = IN[from]();
    assertForbidden(phase, from, 'open', () => phase.resume());
  }
  const discarded = after(IN.parked(), 'discarded');
  assertForbidden(discarded, 'discarded', 'open', () => discarded.resume());
  assert.ok(discarded.isParked, 'a discarded upload still counts as it did');
});

test('what an upload is follows from its phase', () => {
  const is = (phase: UploadPhase): string =>
    [
      ...(phase.isVisible ? ['visible'] : []),
      ...(phase.isClosed ? ['closed'] : []),
      ...(phase.isSealed ? ['sealed'] : []),
      ...(phase.isParked ? ['parked'] : []),
      ...(phase.isDiscarded ? ['discarded'] : []),
      ...(phase.endReason ? ['ended'] : []),
    ].join(' ');
  const expected: Record<Phase, string> = {
    creating: '',
    open: 'visible',
    parked: 'visible parked',
    sealing: 'visible closed',
    replacing: 'visible closed',
    reverting: 'visible ended',
    sealed: 'visible closed sealed',
    discarded: 'visible discarded ended',
  };
  for (const phase of PHASES) assert.equal(is(IN[phase]()), expected[phase], phase);
  assert.equal(is(after(IN.creating(), 'sealing')), 'closed');
  assert.equal(is(after(after(IN.creating(), 'sealing'), 'sealed')), 'visible closed sealed');
  assert.equal(is(after(after(IN.parked(), 'sealing'), 'replacing')), 'visible closed parked');
  assert.equal(is(after(IN.creating(), 'discarded')), 'discarded ended');
});

test('a document whose write failed, or ended after the upload, is remembered', () => {
  const failed = IN.creating();
  assert.equal(failed.mayHaveDocument, false);
  failed.beginDocument();
  assert.deepEqual([failed.mayHaveDocument, failed.isVisible], [true, false]);
  const late = after(IN.creating(), 'discarded');
  late.becomeVisible();
  assert.deepEqual([late.mayHaveDocument, late.current], [true, 'discarded']);
});

test('two seals share one run, and a wait for the decision covers every operation', async () => {
  const phase = IN.open();
  let finish = (): void => {};
  let runs = 0;
  const work = async (): Promise<void> => {
    runs += 1;
    await new Promise<void>((resolve) => {
      finish = resolve;
    });
  };
  const first = phase.seal(work);
  assert.equal(phase.seal(work), first);
  assert.equal(runs, 1);
  let decided = false;
  const waiting = phase.undecided().then(() => {
    decided = true;
  });
  const reverted = new Promise<void>((resolve) => setImmediate(resolve));
  const reverting = phase.revert(REASON, () => reverted);
  finish();
  await first;
  assert.equal(phase.sealing, null);
  assert.equal(decided, false, 'the revert still runs');
  await reverting;
  await waiting;
});
