/** What the shipped PostgreSQL binaries need (LIBRARIES.md, "Embedded PostgreSQL"). */

export const PACKAGES = ['darwin-arm64', 'darwin-x64', 'linux-arm', 'linux-arm64', 'linux-x64'] as const;

/** What to do instead; the end of a sentence. */
export const OWN = 'set HOLDPOINT_STORE_URL and --target to PostgreSQL servers of your own';

export interface Host {
  readonly platform: string;
  readonly arch: string;
  /** `20.19.0`. */
  readonly node: string;
  /** Linux with a C library other than glibc. */
  readonly musl: boolean;
}

export function thisHost(): Host {
  return {
    platform: process.platform,
    arch: process.arch,
    node: process.versions.node,
    musl: process.platform === 'linux' && !runsOnGlibc(),
  };
}

/** One sentence that says why Holdpoint cannot run here, or null; with servers of one's own it needs less. */
export function unsupported(host: Host = thisHost(), embedded = true): string | null {
  const [major = 0, minor = 0] = host.node.split('.').map(Number);
  if (!((major === 20 && minor >= 19) || (major === 22 && minor >= 12) || major >= 24)) {
    return `Holdpoint needs Node.js 20.19+, 22.12+ or 24+, and this is ${host.node}.`;
  }
  if (host.platform !== 'linux' && host.platform !== 'darwin') {
    return `Holdpoint runs on Linux and macOS, not on ${host.platform}; on Windows use WSL 2 or the container image.`;
  }
  if (!embedded) return null;
  if (host.musl) {
    return `The embedded PostgreSQL needs glibc and this system uses musl (Alpine); use a Debian-based image, or ${OWN}.`;
  }
  const name = `${host.platform}-${host.arch}`;
  if (PACKAGES.some((known) => known === name)) return null;
  return `There is no embedded PostgreSQL for ${name} (there is for ${PACKAGES.join(', ')}); ${OWN}.`;
}

function runsOnGlibc(): boolean {
  const reporter = process.report as NodeJS.ProcessReport & { excludeNetwork?: boolean };
  const before = reporter.excludeNetwork;
  try {
    // Without this the report looks up the name of every open peer, which can take seconds.
    reporter.excludeNetwork = true;
    const report: unknown = reporter.getReport();
    const parsed: unknown = typeof report === 'string' ? JSON.parse(report) : report;
    const header = typeof parsed === 'object' && parsed !== null && 'header' in parsed ? parsed.header : null;
    return typeof header === 'object' && header !== null && 'glibcVersionRuntime' in header;
  } finally {
    if (before !== undefined) reporter.excludeNetwork = before;
  }
}
