import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseEvents } from '../../../src/client/transport/sse.ts';

async function* cutUp(bytes: Uint8Array, cuts: readonly number[]): AsyncGenerator<Uint8Array> {
  const places = [...cuts.map((cut) => cut % (bytes.length + 1)), 0, bytes.length].sort((a, b) => a - b);
  for (const [i, from] of places.entries()) yield bytes.subarray(from, places[i + 1] ?? bytes.length);
}

async function parse(text: string, cuts: readonly number[] = []): Promise<string[]> {
  const events: string[] = [];
  for await (const event of parseEvents(cutUp(new TextEncoder().encode(text), cuts))) events.push(event);
  return events;
}

test('events do not depend on how the bytes are split or on the line endings', async () => {
  const line = fc.string({ unit: 'grapheme', maxLength: 12 }).filter((text) => !/[\r\n]/.test(text));
  const events = fc.array(fc.array(line, { minLength: 1, maxLength: 3 }), { maxLength: 5 });
  const newline = fc.constantFrom('\n', '\r\n', '\r');
  await fc.assert(
    fc.asyncProperty(events, newline, fc.array(fc.nat(500)), async (expected, end, cuts) => {
      const text = expected.map((lines) => lines.map((data) => `data: ${data}${end}`).join('') + end).join('');
      // A lone CR at the very end may be half of a CRLF, so one more line shows that the event has ended.
      assert.deepEqual(
        await parse(`${text}: end\n`, cuts),
        expected.map((lines) => lines.join('\n')),
      );
    }),
  );
});

test('comments, other fields and an unfinished event are ignored', async () => {
  assert.deepEqual(await parse(': hello\n\nevent: status\nid: 1\ndata:{"a":1}\nretry: 5\n\ndata: cut'), ['{"a":1}']);
});
