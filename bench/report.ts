import { availableParallelism, cpus, loadavg } from 'node:os';
import { isPinned } from './child.ts';

/** One line of the table. */
export interface Figure {
  readonly what: string;
  /** With its unit. */
  readonly value: string;
  /** Of what it is compared with, measured in the same run. */
  readonly baseline?: string;
  readonly ratio?: number;
  readonly target?: { readonly text: string; readonly isMet: boolean };
}

export interface PartResult {
  readonly title: string;
  readonly figures: readonly Figure[];
  /** What one must know to read the figures. */
  readonly notes: readonly string[];
}

export function count(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

export function machineLine(): string {
  const load = loadavg()
    .map((value) => value.toFixed(1))
    .join(' ');
  const { cores, model } = { cores: availableParallelism(), model: cpus()[0]?.model.trim() ?? 'unknown processor' };
  const pinned = isPinned ? 'server on core 0, load generator on core 1' : 'not pinned';
  return `${cores} cores (${model}), Node ${process.version}, ${pinned}, load average at the start ${load}`;
}

/** Markdown, so that a table can go into the README as it is. */
export function tableOf({ title, figures, notes }: PartResult): string {
  const rows = figures.map(({ what, value, baseline = '', ratio, target }) =>
    [
      what,
      value,
      baseline,
      ratio === undefined ? '' : ratio.toFixed(2),
      target?.text ?? '',
      target === undefined ? '' : target.isMet ? 'met' : 'MISSED',
    ].join(' | '),
  );
  return [
    `### ${title}`,
    '',
    '| what | measured | baseline in the same run | ratio | target | |',
    '| --- | --- | --- | --- | --- | --- |',
    ...rows.map((row) => `| ${row} |`),
    '',
    ...notes.map((note) => `- ${note}`),
    '',
  ].join('\n');
}
