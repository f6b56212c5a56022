/** The transfers of this page, each with its progress, and their total. */
import { duration, size } from '../format.ts';
import type { Task, Transfers } from '../transfers.ts';

const STATES: Record<Task['state'], string> = {
  queued: 'Queued',
  running: '',
  paused: 'Paused',
  done: 'Done',
  failed: 'Failed',
};

export function TransferList({ tasks, transfers }: { tasks: Task[]; transfers: Transfers }) {
  if (tasks.length === 0 && transfers.notice === null) return null;
  return (
    <section class="card" aria-label="Transfers of this page">
      {transfers.notice !== null && (
        <div class="bar">
          <p class="grow" role="status">
            {transfers.notice}
          </p>
          <button type="button" onClick={() => transfers.dismiss()}>
            Dismiss
          </button>
        </div>
      )}
      {tasks.length > 0 && <TotalProgress tasks={tasks} transfers={transfers} />}
      <ul class="tasks">
        {tasks.map((task) => (
          <li key={task.id} data-state={task.state}>
            <span class="name">{`${task.kind === 'upload' ? '↑' : '↓'} ${task.name}`}</span>
            <progress value={task.bytes} max={task.total || 1} aria-label={`Progress of ${task.name}`} />
            <span class="quiet">
              {STATES[task.state] || `${size(task.bytes)} · ${size(task.rate)}/s · ${duration(task.left ?? Infinity)}`}
            </span>
            <span class={task.state === 'failed' ? 'bad' : 'quiet'}>{task.note}</span>
            {(task.state === 'running' || task.state === 'queued') && (
              <button type="button" onClick={() => transfers.pause(task.id)}>
                Pause
              </button>
            )}
            {(task.state === 'paused' || task.state === 'failed') && (
              <button type="button" onClick={() => transfers.resume(task.id)}>
                Resume
              </button>
            )}
            {task.state === 'failed' && task.nameInUse && (
              <button type="button" onClick={() => replace(transfers, task)}>
                Replace
              </button>
            )}
            {task.kind === 'upload' && task.state !== 'done' && (
              <button type="button" class="danger" onClick={() => transfers.cancel(task.id)}>
                Cancel
              </button>
            )}
            <button type="button" onClick={() => transfers.forget(task.id)}>
              Remove from list
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}

function replace(transfers: Transfers, { id, name }: Task): void {
  if (confirm(`Replace the stored ${name}? Its content is deleted when the new file is complete.`))
    transfers.replace(id);
}

function TotalProgress({ tasks, transfers }: { tasks: Task[]; transfers: Transfers }) {
  const active = tasks.filter(({ state }) => state !== 'done' && state !== 'failed');
  const count = (state: Task['state']) => tasks.filter((task) => task.state === state).length;
  const failed = count('failed');
  const counts = [
    active.length === 0 ? '' : `${active.length} in progress`,
    `${count('done')} done`,
    failed === 0 ? '' : `${failed} failed`,
  ];
  const total = active.reduce((sum, task) => sum + (task.total ?? 0), 0);
  const bytes = active.reduce((sum, task) => sum + task.bytes, 0);
  const rate = active.reduce((sum, task) => sum + (task.state === 'running' ? task.rate : 0), 0);
  const left = rate > 0 ? (total - bytes) / rate : Number.POSITIVE_INFINITY;
  return (
    <div class="bar">
      <h2>{counts.filter(Boolean).join(', ')}</h2>
      {active.length > 0 && (
        <>
          <progress class="grow" value={bytes} max={total || 1} aria-label="Progress of all" />
          <span class="quiet">{`${size(bytes)} of ${size(total)} · ${size(rate)}/s · ${duration(left)}`}</span>
          <button type="button" onClick={() => transfers.pauseAll()}>
            Pause all
          </button>
          <button type="button" onClick={() => transfers.resumeAll()}>
            Resume all
          </button>
        </>
      )}
    </div>
  );
}
