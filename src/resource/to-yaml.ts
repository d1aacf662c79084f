import { stringify } from 'yaml';
import type { Resource } from './resource.ts';

/** A resource as YAML that parses back to it, fields in the order people expect. */
export function resourceToYaml(resource: Resource): string {
  const { apiVersion, kind, metadata, spec } = resource;
  const { name, namespace, ...rest } = metadata;
  return stringify(
    { apiVersion, kind, metadata: { name, namespace, ...rest }, spec },
    { lineWidth: 0, aliasDuplicateObjects: false },
  );
}
