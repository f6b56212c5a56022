// Prints a line for each file that becomes complete, up to COUNT files. Reconnects after a broken connection and misses no event
// that the server still has. Usage: node events.mjs [COUNT]
// Reads LADING_SERVER and LADING_TOKEN.
const server = process.env.LADING_SERVER ?? 'http://localhost:8005';
const limit = Number(process.argv[2] ?? Number.POSITIVE_INFINITY);
const headers = { Authorization: `Bearer ${process.env.LADING_TOKEN}`, Accept: 'text/event-stream' };

for (let seen = 0; seen < limit; ) {
  try {
    const reply = await fetch(`${server}/api/events?types=file.completed`, { headers });
    if (!reply.ok) throw new Error(`${reply.status}: ${await reply.text()}`);
    console.error('listening');
    let text = '';
    for await (const part of reply.body.pipeThrough(new TextDecoderStream())) {
      text += part;
      const events = text.split('\n\n');
      text = events.pop();
      for (const event of events) {
        const fields = Object.fromEntries(event.split('\n').map((line) => line.split(/: (.*)/s, 2)));
        if (fields.id !== undefined) headers['Last-Event-ID'] = fields.id;
        if (fields.event !== 'file.completed') continue;
        const { filename, total_bytes } = JSON.parse(fields.data);
        console.log(`${filename} ${total_bytes}`);
        seen += 1;
        if (seen === limit) process.exit();
      }
    }
  } catch (error) {
    console.error(error.message);
  }
  await new Promise((resolve) => setTimeout(resolve, 1000));
}
