/** Every code a diagnostic may carry, with the sentence the reference documentation gives it. */
export const DIAGNOSTIC_CODES = {
  alias_expansion: 'aliases make the document far larger than its text',
  allow_dead: 'an ALLOW rule of which a DENY rule leaves nothing',
  ambiguous_peer_authentication: 'two PeerAuthentications apply to the same workloads',
  bad_value: 'a value does not have the form its field needs',
  bad_wildcard: 'a `*` where it does not act as a wildcard',
  conflicting_fields: 'two fields that exclude each other are both written',
  deny_shadowed: 'a DENY rule that denies nothing which another one does not',
  document_too_large: 'one document is larger than 1 MiB',
  duplicate_key: 'a mapping has the same key twice',
  duplicate_resource: 'two documents describe the same resource, or two sinks write one file',
  duplicate_value: 'a value that must be unique is there twice',
  empty_value: 'a value is missing, empty or null where it would change the meaning',
  fails_open: 'a call passes where nobody could judge it',
  file_too_large: 'one file, or all together, is larger than the limit',
  foreign_namespace: 'a resource reaches into a namespace that is not its own',
  host_port_missed: 'a host without a port does not cover the same host with one',
  http_field_on_tcp: 'a rule judges HTTP fields of a workload that speaks plain TCP',
  missing_field: 'a required field is not there',
  never_matches: 'a value can never match anything',
  no_such_policy: 'an exception from a policy that does not exist',
  no_token_issuer: "a rule judges users' tokens, and nothing says whose are valid",
  no_workload_selected: 'a selector or target matches no known workload',
  not_text: 'the file is not UTF-8 text',
  plaintext_evidence: 'evidence leaves for another host without encryption',
  too_deep: 'mappings and lists are nested too deeply',
  too_many: 'a list or mapping has more entries than allowed',
  too_many_problems: 'further problems of the file are not listed',
  trust_domain_mismatch: 'a name belongs to another trust domain than the mesh',
  unknown_field: 'a field that does not exist',
  unknown_kind: 'a kind or apiVersion that does not exist',
  unknown_principal: 'a policy names an account or namespace nobody has',
  unknown_provider: 'a CUSTOM policy asks a provider that the Mesh does not name',
  unsupported: 'part of the format that this version does not enforce',
  wide_wildcard: 'a wildcard fits callers beyond the namespace of its author',
  wrong_type: 'a value of another type than its field needs',
  yaml_syntax: 'the text is not well-formed YAML or JSON',
} as const;

/** A stable diagnostic code. */
export type DiagnosticCode = keyof typeof DIAGNOSTIC_CODES;

/** What an author may mean but more often does not: `validate` and `apply` refuse it unless it is accepted by its code. */
export const DANGEROUS_CODES: readonly DiagnosticCode[] = [
  'fails_open',
  'http_field_on_tcp',
  'plaintext_evidence',
  'wide_wildcard',
];
