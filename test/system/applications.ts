// What runs behind the sidecars of system tests where any program will do.

/** An HTTP server that answers each request by this JavaScript, in which `q` is the request and `s` the response. */
export function answering(javaScript: string): readonly string[] {
  return listening(`require('http').createServer((q, s) => { ${javaScript} })`);
}

/** Any server of Node.js, by the JavaScript that makes it: it listens where `palisade run` tells its application to. */
export function listening(server: string): readonly string[] {
  return [process.execPath, '-e', `${server}.listen(process.env.PORT, '127.0.0.1')`];
}
