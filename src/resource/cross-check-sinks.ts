import type { ReportAt } from './cross-check-selection.ts';
import type { Resource } from './resource.ts';
import type { SinkResource } from './sink.ts';
import type { SinkFile } from './sink-receiver.ts';

/**
 * Whether two sinks write one file: of the same name, or one under a name that the other's file gets when it is turned
 * over. They would turn it over under each other, and cut off what the other wrote when a disk is full.
 */
export function sharesFile(a: SinkFile | undefined, b: SinkFile | undefined): boolean {
  if (a === undefined || b === undefined) return false;
  return a.name === b.name || isTurnedOver(a, b.name) || isTurnedOver(b, a.name);
}

function isTurnedOver({ name }: SinkFile, other: string): boolean {
  return other.startsWith(`${name}.`) && /^\d+$/.test(other.slice(name.length + 1));
}

/** Two sinks of one file are a mistake, wherever the other one is. */
export function checkSink(
  resource: SinkResource,
  all: readonly Resource[],
  report: ReportAt,
): void {
  const rival = all.find(
    (other) =>
      other.kind === 'Sink' &&
      other.metadata.name !== resource.metadata.name &&
      sharesFile(other.spec.file, resource.spec.file),
  );
  if (rival === undefined) return;
  report('error', ['spec', 'file', 'name'], {
    code: 'duplicate_resource',
    message: `\`Sink/${rival.metadata.name}\` writes this file too, now or when it is turned over`,
    help: 'give each sink a file of its own',
  });
}
