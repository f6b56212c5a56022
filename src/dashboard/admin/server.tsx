/** Health and settings of the server. */
import type { ServerConfig } from '../../protocol/schemas/config.ts';
import { size } from '../format.ts';
import type { PageProps } from '../page.ts';
import { ErrorMessage, Section } from '../parts.tsx';
import { useLive } from '../use-live.ts';

export function ServerTab(props: PageProps) {
  const { client } = props.session;
  const health = useLive(props, { load: (signal) => client.health({ signal }), types: [], everyMs: 5000 });
  const config = useLive(props, { load: (signal) => client.config({ signal }), types: ['admin.changed'] });
  const healthy = health.value === true && health.error === null;
  return (
    <>
      <Section title="Health">
        <p role="status" class={healthy ? 'good' : 'bad'}>
          {health.value === null && health.error === null
            ? 'Loading …'
            : healthy
              ? 'The server is healthy.'
              : `The server does not reply. ${health.error ?? ''}`}
        </p>
        <p class="quiet">{config.value === null ? '' : `Lading ${config.value.version}`}</p>
      </Section>
      <ErrorMessage>{config.error}</ErrorMessage>
      {config.value !== null && <Settings config={config.value} />}
    </>
  );
}

function Settings({ config: { server, limits, durations, signing, delivery } }: { config: ServerConfig }) {
  const sections = {
    Server: server,
    Limits: limits,
    Durations: durations,
    Signing: signing,
    Delivery: delivery.settings,
  };
  return (
    <>
      {Object.entries(sections).map(([title, values]) => (
        <Section key={title} title={title}>
          <dl class="facts">
            {Object.entries(values).map(([name, value]) => (
              <div key={name}>
                <dt>{name.replaceAll('_', ' ')}</dt>
                <dd>{value === null ? 'not set' : /bytes$/.test(name) ? size(Number(value)) : String(value)}</dd>
              </div>
            ))}
          </dl>
        </Section>
      ))}
    </>
  );
}
