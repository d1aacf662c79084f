/** The address to listen on: the port asked for, else the one the data folder names (`host:port` or a URL). */
export function listenFrom(
  named: string,
  options: { readonly host: string; readonly port: number | undefined },
): { host: string; port: number } {
  const port = options.port ?? Number(named.slice(named.lastIndexOf(':') + 1));
  return { host: options.host, port };
}
