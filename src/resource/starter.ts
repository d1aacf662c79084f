/** A file of the starter folder; `path` is relative to it. */
export type StarterFile = { readonly path: string; readonly text: string };

/** What `palisade init DIR` writes: a small shop that validates cleanly, with a test and a CI example. */
export function starterResources(): readonly StarterFile[] {
  return [
    { path: 'README.md', text: README },
    { path: 'mesh.yaml', text: MESH },
    { path: 'services/web.yaml', text: WEB },
    { path: 'services/catalog.yaml', text: CATALOG },
    { path: 'services/store.yaml', text: STORE },
    { path: 'policies/web-calls-catalog.yaml', text: WEB_CALLS_CATALOG },
    { path: 'policies/catalog-calls-store.yaml', text: CATALOG_CALLS_STORE },
    { path: 'policies/nobody-calls-admin.yaml', text: NOBODY_CALLS_ADMIN },
    { path: 'policies/mutual-tls.yaml', text: MUTUAL_TLS },
    { path: 'tests/shop.yaml', text: TEST },
    { path: '.pre-commit-config.yaml', text: PRE_COMMIT },
    { path: '.github/workflows/palisade.yml', text: WORKFLOW },
  ];
}

const README = `# Policies of a small shop

\`web\` shows the shop, \`catalog\` knows the products, \`store\` is the database behind it.
Nobody may call anything unless a policy here allows it.

| folder | what is in it |
|---|---|
| \`mesh.yaml\` | settings of the whole mesh |
| \`services/\` | the names that programs are reached by, their ports, and who may answer |
| \`policies/\` | who may call whom |
| \`tests/\` | calls that must be allowed and calls that must not |

## Every day

    palisade validate .          # every problem at once, needs no server
    palisade test .              # what the policies allow, needs no server
    palisade diff -f .           # what would change in the mesh
    palisade apply -f .          # sign it and hand it out
    palisade status --wait       # until every sidecar enforces it

## Start the programs

    palisade run --service catalog -- python3 catalog.py
    palisade run --service web -- node web.js

A program listens on 127.0.0.1 at the port in \`PORT\` and calls others by name, as in
\`http://catalog/products\`.

## When a call is denied

The caller gets status 403 with the header \`x-palisade-denial\`, and

    palisade explain ID

names the policy, what it looked at, and the smallest change that would allow the call.
`;

const MESH = `# Settings of the whole mesh. There is one Mesh, and what is not written here has its default.
apiVersion: palisade.dev/v1
kind: Mesh
spec:
  # What happens where no ALLOW policy applies.
  defaultAction: deny
  # How long a sidecar enforces what it has while it hears nothing new, and what it does then:
  # \`enforce\` goes on with it, \`deny\` refuses everything.
  staleness:
    budget: 72h
    then: enforce
  # Callers must come with an identity (mutual TLS).
  peerAuthentication:
    mode: STRICT
`;

const WEB = `apiVersion: palisade.dev/v1
kind: Service
metadata:
  name: web
spec:
  ports:
    - name: http
      port: 80
      protocol: http
`;

const CATALOG = `apiVersion: palisade.dev/v1
kind: Service
metadata:
  name: catalog
spec:
  ports:
    # Callers say http://catalog/; requests are judged one by one.
    - name: http
      port: 80
      protocol: http
  # Policies may select workloads by these labels; \`app: catalog\` is always among them.
  labels:
    tier: backend
  timeouts:
    connect: 2s
    response: 30s
`;

const STORE = `apiVersion: palisade.dev/v1
kind: Service
metadata:
  name: store
spec:
  ports:
    # Plain TCP is judged once for each connection: by who connects, not by what is said.
    - name: redis
      port: 6379
      protocol: tcp
  labels:
    tier: data
  timeouts:
    # A connection may be silent this long.
    idle: 1h
`;

const WEB_CALLS_CATALOG = `# An ALLOW policy closes what it selects to everybody it does not name.
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata:
  name: web-calls-catalog
spec:
  selector:
    matchLabels:
      app: catalog
  action: ALLOW
  rules:
    - from:
        - source:
            # The identity of the service \`web\`, without \`spiffe://\`.
            # \`cluster.local\` means this mesh's own trust domain, whatever its name.
            principals: ["cluster.local/ns/default/sa/web"]
      to:
        - operation:
            methods: ["GET", "HEAD"]
            # A star counts at the beginning or at the end; {*} is one segment of a path.
            paths: ["/products", "/products/*"]
`;

const CATALOG_CALLS_STORE = `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata:
  name: catalog-calls-store
spec:
  # A target names the Service itself; a selector would name its labels.
  targetRefs:
    - kind: Service
      name: store
  action: ALLOW
  rules:
    - from:
        - source:
            # A service account of this namespace; \`NAMESPACE/NAME\` for others.
            serviceAccounts: ["catalog"]
      to:
        - operation:
            ports: ["6379"]
`;

const NOBODY_CALLS_ADMIN = `# A DENY policy beats every ALLOW policy.
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata:
  name: nobody-calls-admin
  # To see what a policy would do without enforcing it, remove the # before the next two lines.
  # annotations:
  #   istio.io/dry-run: "true"
spec:
  selector:
    matchLabels:
      tier: backend
  action: DENY
  rules:
    - to:
        - operation:
            paths: ["/admin", "/admin/*"]
`;

const MUTUAL_TLS = `# Callers of this namespace's workloads must come with an identity, whatever the mesh says.
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata:
  name: mutual-tls
spec:
  mtls:
    mode: STRICT
`;

const TEST = `# What these policies must allow and what they must not. \`palisade test .\` holds them against it,
# with the sidecars' own engine and without a server. Nothing of this file is applied.
apiVersion: palisade.dev/v1
kind: PolicyTest
metadata:
  name: shop
spec:
  cases:
    - name: web reads products
      from: web
      to: catalog
      request: {method: GET, path: /products/1}
      expect: {verdict: allow, policy: web-calls-catalog}
    - name: web cannot delete a product
      from: web
      to: catalog
      request: {method: DELETE, path: /products/1}
      expect: deny
    - name: nobody gets into the administration
      from: web
      to: catalog
      request: {method: GET, path: /admin}
      expect: {verdict: deny, policy: nobody-calls-admin, reason: policy_denied}
    - name: a caller without identity gets nothing
      to: catalog
      request: {method: GET, path: /products}
      expect: {verdict: deny, reason: peer_unauthenticated}
    - name: catalog reaches its database
      from: catalog
      to: store
      port: 6379
      expect: allow
    - name: web does not
      from: web
      to: store
      port: 6379
      expect: deny
    - name: neither does catalog of another namespace
      from: elsewhere/catalog
      to: store
      port: 6379
      expect: deny
`;

const PRE_COMMIT = `# https://pre-commit.com: looks at policies before they are committed.
repos:
  - repo: local
    hooks:
      - id: palisade-validate
        name: palisade validate
        entry: palisade validate .
        language: system
        files: '\\.(ya?ml|json)$'
        pass_filenames: false
      - id: palisade-test
        name: palisade test
        entry: palisade test .
        language: system
        files: '\\.(ya?ml|json)$'
        pass_filenames: false
`;

const WORKFLOW = `# Refuses a pull request whose policies have problems, or that changes what they must allow.
name: policies
on:
  pull_request:
  push:
    branches: [main]
permissions:
  contents: read
jobs:
  validate:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-node@v4
        with:
          node-version: 24
      # The variable names the package, tarball or address you install Palisade from.
      - run: npm install --global "$PALISADE_PACKAGE"
        env:
          PALISADE_PACKAGE: \${{ vars.PALISADE_PACKAGE }}
      - run: palisade validate .
      - run: palisade test . --junit policies.xml --min-coverage 100
`;
