/** The policy that lets one account of `default` call a service, and nobody else; `operation` narrows what, as YAML. */
export function allow(service: string, account: string, operation?: string): string {
  const to = operation === undefined ? '' : `\n      to: [{ operation: ${operation} }]`;
  return `---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: ${service} }
spec:
  selector: { matchLabels: { app: ${service} } }
  action: ALLOW
  rules:
    - from: [{ source: { principals: [cluster.local/ns/default/sa/${account}] } }]${to}
`;
}
