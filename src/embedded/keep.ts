/** An embedded PostgreSQL that comes back: when its postmaster dies under us, it is started again on the same port (I8). */
import { type EmbeddedPostgres, type PostgresOptions, startPostgres } from './postgres.ts';

const LONGEST_PAUSE_MS = 10_000;

export async function keepPostgres(
  options: PostgresOptions,
): Promise<Pick<EmbeddedPostgres, 'host' | 'port' | 'stop'>> {
  const stopping = new AbortController();
  let server = await startPostgres(options);
  const { host, port } = server;

  const kept = (async () => {
    let pause = 250;
    while (!stopping.signal.aborted) {
      await server.ended;
      if (stopping.signal.aborted) return;
      options.log.info(`PostgreSQL on port ${port} ended by itself; starting it again`);
      try {
        server = await startPostgres({ ...options, port });
        pause = 250;
      } catch {
        await rest(pause, stopping.signal);
        pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
      }
    }
  })();

  return {
    host,
    port,
    async stop() {
      stopping.abort();
      await server.stop();
      await kept;
      await server.stop();
    },
  };
}

function rest(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
