/** The whole product in a process of its own, started as a user starts it: `holdpoint start` with a fresh data directory and free ports. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const BIN = join(ROOT, 'bin/holdpoint.mjs');

export interface Product {
  readonly dataDir: string;
  /** The demo agent's connection URL, as printed. */
  readonly agentUrl: string;
  readonly link: string;
  readonly console: string;
  readonly pid: number;
  readonly env: NodeJS.ProcessEnv;
  output(): string;
  /** The exit code. */
  readonly ended: Promise<number | null>;
  /** SIGINT and wait, as Ctrl-C does; keeps the data directory. Resolves to the exit code. */
  stop(): Promise<number | null>;
  kill(): Promise<void>;
  remove(): void;
}

export interface StartOptions {
  readonly dataDir?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly args?: readonly string[];
  readonly cwd?: string;
  /** Another user, as whom root starts it. */
  readonly uid?: number;
  /** In a process group of its own, for signals to the group. */
  readonly detached?: boolean;
}

/** A directory for one product's data; short-lived, outside the repository. */
export function scratch(): string {
  return mkdtempSync(join(tmpdir(), 'hp-e2e-'));
}

export async function startProduct(options: StartOptions = {}): Promise<Product> {
  const dataDir = options.dataDir ?? scratch();
  const env = clean({
    ...process.env,
    NODE_ENV: undefined,
    DATABASE_URL: undefined,
    HOLDPOINT_LISTEN: '127.0.0.1:0',
    HOLDPOINT_CONSOLE_LISTEN: '127.0.0.1:0',
    XDG_CONFIG_HOME: join(dataDir, 'config-home'),
    ...options.env,
  });
  const child = spawn(
    process.execPath,
    [BIN, 'start', '--data', join(dataDir, 'data'), ...(options.args ?? [])],
    {
      cwd: options.cwd ?? dataDir,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(options.uid === undefined ? {} : { uid: options.uid, gid: options.uid }),
      ...(options.detached === true ? { detached: true } : {}),
    },
  );
  const ended = new Promise<number | null>((resolve) => {
    child.once('exit', resolve);
  });
  let text = '';
  child.stderr.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  const banner = await new Promise<string>((resolve, reject) => {
    child.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      if (text.includes('Ctrl-C stops everything.')) resolve(text);
    });
    child.once('exit', (code) => reject(new Error(`holdpoint start ended with ${code}:\n${text}`)));
    child.once('error', reject);
  });
  const found = (pattern: RegExp) => pattern.exec(banner)?.[1] ?? '';
  return {
    dataDir,
    agentUrl: found(/DATABASE_URL="([^"]+)"/),
    link: found(/^\s+(https?:\/\/\S+\/login\/\S+)$/m),
    console: found(/console (https?:\/\/\S+)/),
    pid: child.pid ?? 0,
    env,
    ended,
    output: () => text,
    stop: () => end(child, 'SIGINT'),
    async kill() {
      await end(child, 'SIGKILL');
    },
    remove() {
      for (const name of ['store', 'shop'])
        rmSync(clusterOf(dataDir, name), { recursive: true, force: true });
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

/** Where an embedded cluster of this product lies: elsewhere when root's PostgreSQL account cannot enter the data directory. */
export function clusterOf(dataDir: string, name: string): string {
  const pointer = join(dataDir, 'data', name, 'location');
  return existsSync(pointer) ? readFileSync(pointer, 'utf8').trim() : join(dataDir, 'data', name, 'cluster');
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
  const exited = once(child, 'exit');
  child.kill(signal);
  await exited;
  return child.exitCode;
}

function clean(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined));
}

/** One `holdpoint …` command against a running product. */
export async function holdpoint(
  product: Product,
  args: readonly string[],
  stdin = '',
): Promise<{ code: number | null; out: string; err: string }> {
  const child = spawn(process.execPath, [BIN, ...args], {
    cwd: product.dataDir,
    env: { ...product.env, HOLDPOINT_DATA: join(product.dataDir, 'data') },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let out = '';
  let err = '';
  child.stdout.on('data', (chunk: Buffer) => {
    out += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    err += chunk.toString();
  });
  child.stdin.end(stdin);
  await once(child, 'close');
  return { code: child.exitCode, out, err };
}
