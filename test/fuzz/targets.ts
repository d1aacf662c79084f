import type { FuzzTarget } from './target.ts';
import { canonicalPathTarget } from './targets/canonical-path.ts';
import { hpackTarget } from './targets/hpack.ts';
import { http1BodyTarget } from './targets/http1-body.ts';
import { http1ConnectTarget } from './targets/http1-connect.ts';
import { http1RequestTarget } from './targets/http1-request.ts';
import { http1ResponseTarget } from './targets/http1-response.ts';
import { http2ClientTarget } from './targets/http2-client.ts';
import { http2ServerTarget } from './targets/http2-server.ts';
import { proxyProtocolTarget } from './targets/proxy-protocol.ts';
import { redactTarget } from './targets/redact.ts';
import { spoolFrameTarget } from './targets/spool-frame.ts';
import { tlsHelloTarget } from './targets/tls-hello.ts';
import { tokenTarget } from './targets/token.ts';

/** Every parser of bytes from the network, and of what lies on a sidecar's disk. */
export const TARGETS: readonly FuzzTarget[] = [
  canonicalPathTarget,
  hpackTarget,
  http1BodyTarget,
  http1ConnectTarget,
  http1RequestTarget,
  http1ResponseTarget,
  http2ClientTarget,
  http2ServerTarget,
  proxyProtocolTarget,
  redactTarget,
  spoolFrameTarget,
  tlsHelloTarget,
  tokenTarget,
];
