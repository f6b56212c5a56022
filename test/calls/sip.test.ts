/** A SIP call between two real user agents on loopback. The voice arrives over RTP. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { sipVoice } from '../../src/calls/sip.ts';
import { temporaryFolder } from '../support/servers/processes.ts';

const missing = ['baresip', 'sipp', 'espeak-ng'].filter((program) => spawnSync(program, ['-h']).error !== undefined);
const skip = missing.length > 0 ? `not installed: ${missing.join(', ')}` : false;

/** A scenario that answers a call, receives the voice on the given port, and waits for the end. */
const ANSWER = (mediaPort: number): string => `<?xml version="1.0" encoding="ISO-8859-1" ?>
<scenario name="answer">
  <recv request="INVITE" crlf="true"></recv>
  <send><![CDATA[
    SIP/2.0 180 Ringing
    [last_Via:]
    [last_From:]
    [last_To:];tag=[pid]SIPpTag01[call_number]
    [last_Call-ID:]
    [last_CSeq:]
    Contact: <sip:[local_ip]:[local_port];transport=[transport]>
    Content-Length: 0
  ]]></send>
  <send retrans="500"><![CDATA[
    SIP/2.0 200 OK
    [last_Via:]
    [last_From:]
    [last_To:];tag=[pid]SIPpTag01[call_number]
    [last_Call-ID:]
    [last_CSeq:]
    Contact: <sip:[local_ip]:[local_port];transport=[transport]>
    Content-Type: application/sdp
    Content-Length: [len]

    v=0
    o=user1 53655765 2353687637 IN IP4 127.0.0.1
    s=-
    c=IN IP4 127.0.0.1
    t=0 0
    m=audio ${mediaPort} RTP/AVP 0
    a=rtpmap:0 PCMU/8000
  ]]></send>
  <recv request="ACK" crlf="true"></recv>
  <recv request="BYE"></recv>
  <send><![CDATA[
    SIP/2.0 200 OK
    [last_Via:]
    [last_From:]
    [last_To:]
    [last_Call-ID:]
    [last_CSeq:]
    Contact: <sip:[local_ip]:[local_port];transport=[transport]>
    Content-Length: 0
  ]]></send>
</scenario>
`;

/** Decodes one byte of G.711 µ-law to a 16-bit sample. */
function sampleOf(byte: number): number {
  const value = ~byte & 0xff;
  const magnitude = (((value & 0x0f) << 3) + 0x84) << ((value & 0x70) >> 4);
  return (value & 0x80) === 0 ? magnitude - 0x84 : 0x84 - magnitude;
}

interface Callee {
  port: number;
  /** Samples that arrived over RTP. */
  samples: number[];
  process: ChildProcess;
}

async function startCallee(t: TestContext): Promise<Callee> {
  const folder = await temporaryFolder(t);
  const samples: number[] = [];
  const media = createSocket('udp4');
  media.on('message', (packet) => {
    // Payload type 0 is PCMU; the header has twelve bytes here.
    if (((packet[1] ?? 0) & 0x7f) === 0) for (const byte of packet.subarray(12)) samples.push(sampleOf(byte));
  });
  media.bind(0, '127.0.0.1');
  await once(media, 'listening');
  t.after(() => media.close());
  const probe = createSocket('udp4').bind(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  await new Promise<void>((resolve) => probe.close(() => resolve()));
  const scenario = join(folder, 'answer.xml');
  await writeFile(scenario, ANSWER((media.address() as AddressInfo).port));
  const options = ['-i', '127.0.0.1', '-p', String(port), '-m', '1', '-nostdin', '-timeout', '90'];
  const callee = spawn('sipp', ['-sf', scenario, ...options], { cwd: folder, stdio: 'ignore' });
  t.after(() => callee.kill('SIGKILL'));
  return { port, samples, process: callee };
}

/** Command lines of all processes, as other users of the machine see them. */
async function commandLines(): Promise<string> {
  const { stdout } = spawnSync('ps', ['-eo', 'args', 'ww']);
  return stdout?.toString() ?? (await readFile('/proc/self/cmdline', 'latin1'));
}

test('the code is spoken audibly, and no process list shows it', {
  skip,
}, async (t) => {
  const callee = await startCallee(t);
  const voice = sipVoice({ address: `sip:lading@127.0.0.1:${callee.port}`, password: null });
  let seen = '';
  const watch = setInterval(() => void commandLines().then((lines) => (seen += lines)), 200);
  t.after(() => clearInterval(watch));
  const ended = once(callee.process, 'exit');
  const call = { id: 'a', to: '+14155552671', message: null, code: '704915' };
  await voice.speak(call, new AbortController().signal);
  clearInterval(watch);
  assert.equal((await ended)[0], 0, 'the callee saw a whole call');
  assert.ok(callee.samples.length > 8000 * 5, `${callee.samples.length} samples are more than five seconds`);
  // Loudness by second. A voice is loud in most of them.
  const seconds: number[] = [];
  for (let at = 0; at + 8000 <= callee.samples.length; at += 8000) {
    const sum = callee.samples.slice(at, at + 8000).reduce((total, sample) => total + sample * sample, 0);
    seconds.push(Math.sqrt(sum / 8000));
  }
  assert.ok(seconds.filter((loudness) => loudness > 300).length >= 4, `loudness by second: ${seconds.map(Math.round)}`);
  assert.ok(seen.includes('baresip') && !seen.includes('704915') && !seen.includes('7, 0, 4'), 'what ps shows');
});

test('a call without an answer fails and leaves no process running', { skip }, async () => {
  const voice = sipVoice({ address: 'sip:lading@127.0.0.1:9', password: null });
  const call = { id: 'b', to: '+14155552671', message: null, code: '704915' };
  const abort = new AbortController();
  const spoken = voice.speak(call, abort.signal);
  // SIP retries for half a minute. The abort simulates a stop of the server.
  setTimeout(() => abort.abort(), 3000);
  await assert.rejects(spoken, /nobody answered|the server is stopping/);
  assert.ok(!(await commandLines()).includes('lading-call-'));
});
