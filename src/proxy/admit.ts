import type { EndpointGroup } from './endpoint-group.ts';
import type { Failure } from './respond.ts';

/**
 * Whether one more call may begin although it is permitted: the stage between authorize and route for
 * all that bounds load. Today these are the Service's own limits; rate limits and adaptive shedding
 * belong here too, and nowhere else.
 */
export function admit(group: EndpointGroup): Failure | undefined {
  if (group.calls < group.traffic.limits.maxRequests) return undefined;
  return { kind: 'rate_limited', detail: 'max_requests' };
}

/** The same for a TCP session; its place is given back by `group.slots.release()`. */
export function admitSession(group: EndpointGroup): Failure | undefined {
  if (group.slots.tryOpen(group.traffic.limits)) return undefined;
  return { kind: 'rate_limited', detail: 'max_connections' };
}
