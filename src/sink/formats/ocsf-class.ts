import type { FormatAuthor } from './plain-text.ts';

/** A class of OCSF by the numbers and captions of its schema. */
export type OcsfClass = {
  readonly class_uid: number;
  readonly class_name: string;
  readonly category_uid: number;
  readonly category_name: string;
};

/** The classes that we write. */
export const OCSF_CLASS = {
  networkActivity: {
    class_uid: 4001,
    class_name: 'Network Activity',
    category_uid: 4,
    category_name: 'Network Activity',
  },
  httpActivity: {
    class_uid: 4002,
    class_name: 'HTTP Activity',
    category_uid: 4,
    category_name: 'Network Activity',
  },
  authentication: {
    class_uid: 3002,
    class_name: 'Authentication',
    category_uid: 3,
    category_name: 'Identity & Access Management',
  },
  apiActivity: {
    class_uid: 6003,
    class_name: 'API Activity',
    category_uid: 6,
    category_name: 'Application Activity',
  },
  detectionFinding: {
    class_uid: 2004,
    class_name: 'Detection Finding',
    category_uid: 2,
    category_name: 'Findings',
  },
} as const satisfies Readonly<Record<string, OcsfClass>>;

/** `severity_id` by its caption. */
export const OCSF_SEVERITY = { Informational: 1, Low: 2, Medium: 3, High: 4 } as const;

/** `status_id` of activities. */
export const OCSF_STATUS = { Success: 1, Failure: 2 } as const;

/** What every event begins with. */
export type OcsfHead = {
  readonly class: OcsfClass;
  readonly activity: readonly [id: number, name: string];
  readonly severity: keyof typeof OCSF_SEVERITY;
  /** ISO 8601. */
  readonly time: string;
  /** The item's. */
  readonly id: string;
  readonly log: 'access' | 'audit' | 'alert';
  readonly profiles?: readonly string[];
  readonly message: string;
};

/** The members of every event (the base event class). */
export function ocsfHead(head: OcsfHead, { version }: FormatAuthor): Record<string, unknown> {
  const [activity_id, activity_name] = head.activity;
  return {
    ...head.class,
    activity_id,
    activity_name,
    type_uid: head.class.class_uid * 100 + activity_id,
    type_name: `${head.class.class_name}: ${activity_name}`,
    severity_id: OCSF_SEVERITY[head.severity],
    severity: head.severity,
    time: Date.parse(head.time),
    message: head.message,
    metadata: {
      version: '1.5.0',
      uid: head.id,
      product: { name: 'Palisade', vendor_name: 'Palisade', version },
      log_name: head.log,
      original_time: head.time,
      profiles: head.profiles,
    },
  };
}

/** `status_id` and `status`. */
export function ocsfStatus(status: keyof typeof OCSF_STATUS): Record<string, unknown> {
  return { status_id: OCSF_STATUS[status], status };
}
