/** Addresses to listen on. */
import { address } from './schema.ts';
import type { Listen, Problem } from './types.ts';

/** The environment's wins; the file's has been checked with the file. */
export function readListen(
  fromFile: string | undefined,
  fromEnv: string | undefined,
  port: number,
  name: string,
  problems: Problem[],
): Listen {
  const text = fromEnv || fromFile;
  if (text === undefined) return { host: '127.0.0.1', port, configured: false };
  if (!address.safeParse(text).success) {
    problems.push({
      place: name,
      message: `"${text}" is no address: write host:port, such as 127.0.0.1:${port}`,
    });
    return { host: '127.0.0.1', port, configured: true };
  }
  const colon = text.lastIndexOf(':');
  return {
    host: text.slice(0, colon).replace(/^\[|\]$/g, ''),
    port: Number(text.slice(colon + 1)),
    configured: true,
  };
}
