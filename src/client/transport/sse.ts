/** Server-sent events, as far as the status stream needs them: the `data` of each event. */

/**
 * The data of each event in a byte stream (WHATWG HTML §9.2.6). Lines end in LF, CR or CRLF, in any cut; comments and other fields
 * are ignored, and so is an event that the end of the stream cuts off.
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
