/** Previews of pictures, audio, text and PDF documents. */
import type { TargetedEvent } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { FileStatus } from '../../client/client.ts';
import { messageOf, size } from '../format.ts';
import { type Session, serverAddress } from '../session.ts';

/** Maximum size of a file that is loaded into memory. */
const MAX_BYTES = 32 * 1024 ** 2;
/** Number of bytes that the preview of a text shows. */
const TEXT_BYTES = 64 * 1024;
const PEAKS = 400;
/** Picture formats that cannot run scripts. */
const PICTURES = /^image\/(?:png|jpeg|gif|webp|avif|bmp)$/;
const TEXTS = /^(?:text\/|application\/(?:json|xml|x-ndjson|yaml))/;

export function Preview({ session, file }: { session: Session; file: FileStatus }) {
  const type = (file.content_type ?? '').split(';')[0] ?? '';
  if (PICTURES.test(type)) return <Picture session={session} file={file} type={type} />;
  if (type.startsWith('audio/')) return <AudioPlayer session={session} file={file} />;
  if (TEXTS.test(type)) return <Text session={session} file={file} />;
  if (type === 'application/pdf') return <Pdf session={session} file={file} />;
  return null;
}

interface PreviewProps {
  session: Session;
  file: FileStatus;
}

/** Loads the whole file; null while it loads, or when it is too large. */
function useBlob({ session, file }: PreviewProps, type: string): { blob: Blob | null; error: string | null } {
  const [blob, setBlob] = useState<Blob | null>(null);
  const [error, setError] = useState<string | null>(null);
  const { filename, etag, total_bytes: total } = file;
  useEffect(() => {
    const stop = new AbortController();
    setBlob(null);
    setError(null);
    if ((total ?? 0) > MAX_BYTES) {
      setError(`The file is larger than ${size(MAX_BYTES)}, too large for a preview.`);
      return;
    }
    const load = async () => {
      const parts: Uint8Array<ArrayBuffer>[] = [];
      for await (const bytes of session.client.read(filename, { signal: stop.signal }))
        parts.push(bytes as Uint8Array<ArrayBuffer>);
      setBlob(new Blob(parts, { type }));
    };
    load().catch((problem) => {
      if (!stop.signal.aborted) setError(messageOf(problem));
    });
    return () => stop.abort();
  }, [session, filename, etag, total, type]);
  return { blob, error };
}

function useUrl(blob: Blob | null): string | null {
  const [url, setUrl] = useState<string | null>(null);
  useEffect(() => {
    if (blob === null) return;
    const created = URL.createObjectURL(blob);
    setUrl(created);
    return () => URL.revokeObjectURL(created);
  }, [blob]);
  return url;
}

function Picture({ type, ...props }: PreviewProps & { type: string }) {
  const { blob, error } = useBlob(props, type);
  const url = useUrl(blob);
  if (url === null) return <p class="quiet">{error ?? 'Loading the picture …'}</p>;
  return <img class="preview" src={url} alt={props.file.filename} />;
}

function Pdf(props: PreviewProps) {
  const { blob, error } = useBlob(props, 'application/pdf');
  const url = useUrl(blob);
  if (url === null) return <p class="quiet">{error ?? 'Loading the document …'}</p>;
  return (
    <p>
      <a href={url} target="_blank" rel="noopener">
        Open the document in a tab
      </a>
    </p>
  );
}

function Text({ session, file }: PreviewProps) {
  const [text, setText] = useState<string | null>(null);
  const [error, setError] = useState<string | null>(null);
  const { filename, etag, total_bytes: total } = file;
  useEffect(() => {
    const load = async () => {
      if ((total ?? 0) === 0) return setText('');
      const range = { start: 0, end: Math.min(TEXT_BYTES, total ?? TEXT_BYTES) - 1 };
      const { body } = await session.client.download(filename, { range });
      const decoder = new TextDecoder();
      let all = '';
      for await (const bytes of body) all += decoder.decode(bytes, { stream: true });
      setText(all);
    };
    load().catch((problem) => setError(messageOf(problem)));
  }, [session, filename, etag, total]);
  if (text === null) return <p class="quiet">{error ?? 'Loading the text …'}</p>;
  return (
    <section class="preview" aria-label={`Beginning of ${filename}`}>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must be reachable by keyboard */}
      <pre tabIndex={0}>{text}</pre>
      {(total ?? 0) > TEXT_BYTES && <p class="quiet">{`The first ${size(TEXT_BYTES)} of ${size(total)}.`}</p>}
    </section>
  );
}

/**
 * Plays audio by ranges. The element reads the file with the URL of a player, not of a share link. When the player expires or the server
 * restarts, a new one is opened and playback continues at the same position.
 */
function AudioPlayer({ session, file }: PreviewProps) {
  const [url, setUrl] = useState<string | null>(null);
  const [error, setError] = useState<string | null>(null);
  const [attempt, setAttempt] = useState(0);
  const resumeAt = useRef<{ time: number; isPlaying: boolean } | null>(null);
  const loaded = useRef(false);
  const { filename, etag } = file;
  useEffect(() => {
    const { players } = session.client;
    const opened = players.open(filename);
    loaded.current = false;
    opened.then(
      (player) => setUrl(serverAddress(player.url)),
      (problem) => setError(messageOf(problem)),
    );
    return () => {
      opened.then(({ player_id: id }) => players.end(id)).catch(() => {});
    };
  }, [session, filename, etag, attempt]);
  const failed = ({ currentTarget: player }: TargetedEvent<HTMLAudioElement>) => {
    // A file that never loaded is in an unsupported format; a new player would not help.
    if (!loaded.current) return setError('This browser cannot play the file. Download it instead.');
    resumeAt.current = { time: player.currentTime, isPlaying: !player.paused };
    setAttempt((previous) => previous + 1);
  };
  const ready = ({ currentTarget: player }: TargetedEvent<HTMLAudioElement>) => {
    loaded.current = true;
    const position = resumeAt.current;
    resumeAt.current = null;
    if (position === null) return;
    player.currentTime = position.time;
    if (position.isPlaying) void player.play().catch(() => {});
  };
  return (
    <div class="preview">
      <Waveform session={session} file={file} />
      {url === null ? (
        <p class="quiet">{error ?? 'Loading the audio …'}</p>
      ) : (
        // biome-ignore lint/a11y/useMediaCaption: no captions exist
        <audio controls preload="metadata" src={url} aria-label={filename} onError={failed} onLoadedMetadata={ready} />
      )}
      {url !== null && error !== null && <p class="quiet">{error}</p>}
    </div>
  );
}

function Waveform(props: PreviewProps) {
  const { blob, error } = useBlob(props, '');
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    if (blob === null) return;
    let unmounted = false;
    const draw = async () => {
      const context = new OfflineAudioContext(1, 1, 44_100);
      const audio = await context.decodeAudioData(await blob.arrayBuffer());
      if (!unmounted && canvas.current) drawPeaks(canvas.current, audio.getChannelData(0));
    };
    // Without a decoder for the format, no waveform is drawn.
    draw().catch(() => {});
    return () => {
      unmounted = true;
    };
  }, [blob]);
  if (error !== null) return <p class="quiet">{`There is no waveform. ${error}`}</p>;
  return (
    <canvas ref={canvas} width={PEAKS * 2} height={80} role="img" aria-label={`Waveform of ${props.file.filename}`} />
  );
}

function drawPeaks(canvas: HTMLCanvasElement, samples: Float32Array): void {
  const context = canvas.getContext('2d');
  if (!context) return;
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.fillStyle = getComputedStyle(canvas).color;
  const step = Math.max(1, Math.floor(samples.length / PEAKS));
  for (let peak = 0; peak < PEAKS; peak += 1) {
    let highest = 0;
    for (let at = peak * step; at < (peak + 1) * step; at += 1) highest = Math.max(highest, Math.abs(samples[at] ?? 0));
    const height = Math.max(1, highest * canvas.height);
    context.fillRect(peak * 2, (canvas.height - height) / 2, 1, height);
  }
}
