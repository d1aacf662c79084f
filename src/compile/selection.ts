/** The workload that policies are selected for. */
export type SelectedWorkload = {
  readonly namespace: string;
  readonly service: string;
  /** All labels, `app` included. */
  readonly labels: Readonly<Record<string, string>>;
};

/** Whether labels hold all that a selector names; a selector without labels selects everything. */
export function labelsMatch(
  matchLabels: Readonly<Record<string, string>> | undefined,
  labels: Readonly<Record<string, string>>,
): boolean {
  // Asked of every policy at each change, so without making lists.
  for (const key in matchLabels) {
    if (!Object.hasOwn(labels, key) || labels[key] !== matchLabels[key]) return false;
  }
  return true;
}

/** A workload's labels: what its Service declares, and `app` as the service's name. */
export function workloadLabels(
  service: string,
  declared: Readonly<Record<string, string>> | undefined,
): Readonly<Record<string, string>> {
  return { app: service, ...declared };
}
