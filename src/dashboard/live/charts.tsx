/** Statistics of the server over the last hour. */
import { size, time } from '../format.ts';
import type { PageProps } from '../page.ts';
import { Chart, Section } from '../parts.tsx';
import { useLive } from '../use-live.ts';

export function Charts(props: PageProps) {
  const { value } = useLive(props, {
    load: (signal) => props.session.client.history({ signal }),
    types: [],
    everyMs: 10_000,
  });
  const samples = value?.samples ?? [];
  const since = samples[0]?.time ?? null;
  const milliseconds = (ms: number) => `${ms.toFixed(1)} ms`;
  return (
    <Section title={since === null ? 'The last hour' : `Since ${time(since)}`}>
      <div class="charts">
        <Chart title="Received" values={samples.map(({ received }) => received)} show={(v) => `${size(v)}/s`} />
        <Chart title="Sent" values={samples.map(({ sent }) => sent)} show={(v) => `${size(v)}/s`} />
        <Chart title="Time per chunk" values={samples.map(({ chunk_ms: ms }) => ms ?? 0)} show={milliseconds} />
        <Chart title="Refusals" values={samples.map(({ refused }) => refused)} show={String} />
      </div>
    </Section>
  );
}
