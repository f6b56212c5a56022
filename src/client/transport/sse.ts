/** Parses server-sent events. */

/**
 * Yields the data of each event (WHATWG HTML §9.2.6). Lines end in LF, CR or CRLF and may be split anywhere. Comments, other fields and
 * an incomplete event at the end are ignored.
 */
export async function* parseEvents(body: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let pending = '';
  let data: string[] = [];
  for await (const bytes of body) {
    pending += decoder.decode(bytes, { stream: true });
    for (;;) {
      const line = /^([^\r\n]*)(\r\n|\n|\r(?!$))/.exec(pending);
      if (line === null) break;
      pending = pending.slice(line[0].length);
      const text = line[1] ?? '';
      if (text === '') {
        if (data.length > 0) yield data.join('\n');
        data = [];
      } else if (text.startsWith('data:')) {
        data.push(text.slice(text[5] === ' ' ? 6 : 5));
      }
    }
  }
}
