/**
 * I9: secrets that a statement or a message spells out are cut before they are recorded. Tagged data is redacted upstream of the
 * recorder (policy, masking); this is for credentials, which no reader of a recording ever needs.
 */
import type { RecordedEvent } from './types.ts';

/** Cheap test over a whole serialised line; the precise rules run only when it hits. */
const HINT =
  /passw|secret|token|api_?key|eyJ|xox[a-z]-|xapp-|SCRAM-|md5[0-9a-f]{32}|PRIVATE KEY|:\/\/|hp[a-z]{1,4}_|AKIA|gh[pousr]_|Bearer/i;

const SECRET = '<secret>';
/**
 * A PostgreSQL string constant: E'…' with backslash escapes, '…' without (standard_conforming_strings is forced on), $tag$…$tag$.
 * It ends exactly where the server ends it: a longer match would let "PASSWORD 'a\'; DROP …" hide the DROP from the record.
 */
const LITERAL = String.raw`(?:[Ee]'(?:[^'\\]|''|\\[\s\S])*(?:'|$)|(?:[Nn]|[Uu]&)?'(?:[^']|'')*(?:'|$)|\$(?<tag>[A-Za-z_0-9]*)\$[\s\S]*?(?:\$\k<tag>\$|$))`;
/** White space and comments; bounded and without ambiguity, so that no text makes the match slow. */
const GAP = String.raw`(?:\s|--[^\n]{0,200}\n|\/\*(?:[^*]|\*(?!\/)){0,200}\*\/){0,64}`;
const WORD =
  '(?:pass(?:word|wd)|pgpassword|client_secret|secret_?key|access_?token|refresh_?token|api_?key|secret)';

const ASSIGNED = new RegExp(`(?<![$A-Za-z0-9_])(${WORD}=)(?![$<])[\\s\\S]+`, 'i');

/** Each in one pass: where a text could begin a match again and again within itself, the whole run is matched and looked into once. */
const RULES: readonly (readonly [RegExp, string | ((match: string, ...groups: string[]) => string)])[] = [
  // CREATE/ALTER ROLE … PASSWORD '…', user mappings' OPTIONS (password '…').
  [new RegExp(`(?<![$A-Za-z0-9_])(${WORD}"?${GAP}(?:=${GAP})?)${LITERAL}`, 'gi'), `$1'${SECRET}'`],
  // Inside connection strings and JSON: password=…, "client_secret": "…"
  // A call is no value.
  [/[^\s'"&;,()]+\(?/g, (run) => (run.endsWith('(') ? run : run.replace(ASSIGNED, `$1${SECRET}`))],
  [new RegExp(`("${WORD}"\\s{0,8}:\\s{0,8}")[^"]*`, 'gi'), `$1${SECRET}`],
  [/\b([a-z][a-z0-9+.-]{0,31}:\/\/[^\s/:@'"]{0,128}):[^\s@'"/]{1,256}@/gi, `$1:${SECRET}@`],
  [
    /(?<![A-Za-z0-9_-])([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*/g,
    (run, head) => {
      const at = head.search(/\beyJ[A-Za-z0-9_-]{8}/);
      return at < 0 ? run : `${run.slice(0, at)}${SECRET}`;
    },
  ],
  [/\bBearer\s{1,8}[A-Za-z0-9._~+/=-]{8,}/gi, `Bearer ${SECRET}`],
  [/\b(?:xox[a-z]-|xapp-)[A-Za-z0-9-]{8,}/g, SECRET],
  [/\b(?:AKIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{20,})\b/g, SECRET],
  // What Holdpoint itself mints: agents (hpc_), links, cookies and tokens of approvers. Exact, so that identifiers stay.
  [/\bhp[clsa]_[A-Za-z0-9_-]{43}/g, SECRET],
  [/SCRAM-SHA-256\$\d+:[A-Za-z0-9+/=]+\$[A-Za-z0-9+/=]+:[A-Za-z0-9+/=]+/g, SECRET],
  [/\bmd5[0-9a-f]{32}\b/g, SECRET],
  [/-----BEGIN [A-Z ]{0,32}PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]{0,32}PRIVATE KEY-----|$)/g, SECRET],
];

export function scrubText(text: string): string {
  if (!HINT.test(text)) return text;
  let out = text;
  for (const [pattern, replacement] of RULES) {
    out =
      typeof replacement === 'string' ? out.replace(pattern, replacement) : out.replace(pattern, replacement);
  }
  return out;
}

/** Serialises an event with its secrets cut. */
export function serialise(event: RecordedEvent): string {
  const json = JSON.stringify(event);
  if (!HINT.test(json)) return json;
  return JSON.stringify(scrubEvent(event));
}

function scrubEvent(event: RecordedEvent): RecordedEvent {
  switch (event.kind) {
    case 'session':
      return {
        ...event,
        session: { ...event.session, applicationName: orNull(event.session.applicationName) },
      };
    case 'statement':
      return {
        ...event,
        sql: scrubText(event.sql),
        binds: event.binds.map(orNull),
        reason: scrubText(event.reason),
      };
    case 'approval':
      return { ...event, note: orNull(event.note) };
    case 'result':
      return {
        ...event,
        values: event.values.map((row) => row.map(orNull)),
        error:
          event.error === null ? null : { code: event.error.code, message: scrubText(event.error.message) },
      };
    case 'notice':
      return { ...event, text: scrubText(event.text) };
    case 'policy':
      return { ...event, note: scrubText(event.note) };
    case 'access':
      return event;
    case 'end':
      return { ...event, why: scrubText(event.why) };
  }
}

function orNull(text: string | null): string | null {
  return text === null ? null : scrubText(text);
}
