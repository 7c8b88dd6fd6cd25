/**
 * Which columns look like personal data or secrets, by name, type and a sample of values (DESIGN.md 6). A suggestion carries counts and
 * names of patterns, never a value.
 */
import type { TagLookup } from './rules/index.ts';

export interface SampledColumn {
  readonly name: string;
  /** Of pg_type.typcategory, domains resolved: S text, N number, D date and time, I network, U others (JSON). */
  readonly category: string;
  readonly comment: string | null;
  /** Not null; cut to some hundred characters. null: could not be read. */
  readonly values: readonly string[] | null;
}
export interface SampledTable {
  readonly schema: string;
  readonly name: string;
  readonly columns: readonly SampledColumn[];
}

export interface Suggestion {
  readonly schema: string;
  readonly relation: string;
  readonly column: string;
  readonly tag: string;
  readonly why: string;
}
export interface Suggestions {
  readonly suggestions: readonly Suggestion[];
  readonly tables: number;
  readonly columns: number;
  /** Columns that carry a tag already. */
  readonly tagged: number;
  /** Tables whose values could not be read: judged by names alone. */
  readonly unread: readonly string[];
  /** Not all was looked at: too many tables, or too slow. */
  readonly partial: boolean;
}

interface Pattern {
  readonly tag: string;
  /** `183 of 200 values ${are}`. */
  readonly are: string;
  readonly test: (value: string) => boolean;
  /** Share of values that must match, and when the name says so too. */
  readonly share: number;
  readonly named: number;
}

const digits = (value: string): string => value.replace(/[ -]/g, '');

export function isCard(value: string): boolean {
  const number = digits(value);
  if (!/^(?:[3-6]\d{12,18}|2[2-7]\d{14})$/.test(number) || /^(\d)\1+$/.test(number)) return false;
  let sum = 0;
  for (const [i, char] of [...number].reverse().entries()) {
    const digit = Number(char) * (i % 2 === 1 ? 2 : 1);
    sum += digit > 9 ? digit - 9 : digit;
  }
  return sum % 10 === 0;
}

/** ISO 13616: the country and check digits to the back, letters as numbers, 1 modulo 97. */
export function isIban(value: string): boolean {
  const text = value.replace(/ /g, '').toUpperCase();
  if (!/^[A-Z]{2}\d{2}[A-Z0-9]{11,30}$/.test(text)) return false;
  let rest = 0;
  for (const char of text.slice(4) + text.slice(0, 4)) {
    const number = /\d/.test(char) ? Number(char) : char.charCodeAt(0) - 55;
    rest = (rest * (number > 9 ? 100 : 10) + number) % 97;
  }
  return rest === 1;
}

const isSsn = (value: string): boolean => /^(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}$/.test(value);

function isPhone(value: string): boolean {
  if (!/^(?:\+|\(|\d)[\d ()./-]{5,22}\d$/.test(value)) return false;
  const count = value.replace(/\D/g, '').length;
  if (count < 7 || count > 15) return false;
  // Separators or a plus make a number a phone number; dates, decimals, addresses and cards have them too.
  return (
    /[+ ()/-]/.test(value) &&
    !/^\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|^\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}\b/.test(value) &&
    !isSsn(value) &&
    !isCard(value)
  );
}

const SECRET =
  /^(?:[srp]k_(?:live|test)_\w{10}|gh[pousr]_\w{20}|github_pat_\w{20}|glpat-|xox[abeprs]-|AKIA[0-9A-Z]{16}|eyJ[\w-]{10,}\.[\w-]{4,}\.|\$2[abxy]\$\d\d\$|\$argon2|\$scrypt\$|pbkdf2[_:$]|SCRAM-SHA-256\$|-----BEGIN [A-Z ]*PRIVATE KEY|hp[acls]_\w{20})/;
const EMAIL = /[\w.+-]{1,64}@[\w-]{1,63}\.[\w.-]{1,190}/u;
const WHOLE_EMAIL = /^[\w.+'-]{1,64}@[\w-]{1,63}\.[\w.-]{1,190}$/u;

const PATTERNS: readonly Pattern[] = [
  { tag: 'email', are: 'are e-mail addresses', test: (v) => WHOLE_EMAIL.test(v), share: 0.3, named: 0.01 },
  { tag: 'ssn', are: 'are formed as social security numbers', test: isSsn, share: 0.5, named: 0.1 },
  { tag: 'payment', are: 'are card numbers (Luhn)', test: isCard, share: 0.6, named: 0.05 },
  { tag: 'payment', are: 'are IBANs', test: isIban, share: 0.3, named: 0.05 },
  {
    tag: 'secret',
    are: 'are formed as keys, tokens or password hashes',
    test: (v) => SECRET.test(v),
    share: 0.02,
    named: 0.01,
  },
  { tag: 'phone', are: 'are formed as phone numbers', test: isPhone, share: 0.7, named: 0.1 },
  {
    tag: 'ip',
    are: 'are IP addresses',
    test: (v) => /^(?:\d{1,3}\.){3}\d{1,3}(?:\/\d+)?$/.test(v),
    share: 0.7,
    named: 0.3,
  },
  { tag: 'email', are: 'hold an e-mail address', test: (v) => EMAIL.test(v), share: 0.02, named: 0.01 },
];

/** By the words of a column's name; `S`: only where it is text. */
const NAMES: readonly { readonly tag: string; readonly words: RegExp; readonly categories: string }[] = [
  {
    tag: 'secret',
    words:
      /(?:^|_)(?:password|passwd|pwd|passphrase|secret|token|api_?key|private_?key|credentials?|otp|pin)(?:_|$)/,
    categories: 'S',
  },
  {
    tag: 'ssn',
    words:
      /(?:^|_)(?:ssn|social_security|national_id|nino|tax_?id|passport|id_card|driver_?s?_license)(?:_|$)/,
    categories: 'SN',
  },
  {
    tag: 'payment',
    words:
      /(?:^|_)(?:credit_?card|card_?(?:number|no)|pan|cvv|cvc|iban|bank_account|account_(?:number|no))(?:_|$)/,
    categories: 'SN',
  },
  { tag: 'email', words: /(?:^|_)(?:e_?mail|mail_address)(?:_|$)/, categories: 'S' },
  { tag: 'phone', words: /(?:^|_)(?:phone|mobile|cell|fax|tel|telephone|msisdn)(?:_|$)/, categories: 'SN' },
  { tag: 'birth', words: /(?:^|_)(?:dob|birth_?(?:date|day)?|date_of_birth)(?:_|$)/, categories: 'SD' },
  { tag: 'ip', words: /(?:^|_)(?:ip|ip_?address|client_ip|remote_addr)(?:_|$)/, categories: 'SI' },
  {
    tag: 'address',
    words:
      /(?:^|_)(?:street|address|address_line_?\d?|postcode|postal_code|zip|zip_?code|house_number)(?:_|$)/,
    categories: 'S',
  },
  {
    tag: 'name',
    words: /(?:^|_)(?:(?:first|last|full|middle|maiden|given|family)_?name|surname|forename)(?:_|$)/,
    categories: 'S',
  },
];
const PEOPLE =
  /(?:^|_)(?:customer|user|person|people|employee|staff|member|patient|contact|subscriber|student|client|guest|account_?holder)s?(?:_|$)/;

/** camelCase and blanks as words with underscores. */
const wordsOf = (name: string): string =>
  name
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replace(/[^\p{L}\p{N}]+/gu, '_')
    .toLowerCase();

/** null: nothing speaks for it. */
export function suggest(
  table: Pick<SampledTable, 'name'>,
  column: SampledColumn,
): { readonly tag: string; readonly why: string } | null {
  const words = wordsOf(column.name);
  const named =
    NAMES.find((one) => one.words.test(words) && one.categories.includes(column.category))?.tag ??
    (words === 'name' && column.category === 'S' && PEOPLE.test(wordsOf(table.name)) ? 'name' : null);
  const values = column.values ?? [];
  for (const { tag, are, test, share, named: less } of PATTERNS) {
    const found = values.filter((value) => test(value.trim())).length;
    // A few rows prove little: a single one needs the name beside it.
    if (
      found === 0 ||
      (found < 2 && values.length < 2 && named !== tag && tag !== 'secret' && tag !== 'email')
    )
      continue;
    if (found / values.length < (named === tag ? less : share)) continue;
    return {
      tag,
      why: `${found} of ${values.length} values ${are}${named === tag ? '; its name says so' : ''}`,
    };
  }
  if (named === null) return null;
  const sample = values.length === 0 ? 'no values to look at' : `none of ${values.length} values says more`;
  return {
    tag: named,
    why: `by its name alone; ${column.values === null ? 'its values were not read' : sample}`,
  };
}

export function suggestAll(
  tables: readonly SampledTable[],
  tagOf: TagLookup,
): Pick<Suggestions, 'suggestions' | 'tables' | 'columns' | 'tagged'> {
  const suggestions: Suggestion[] = [];
  let [columns, tagged] = [0, 0];
  for (const table of tables) {
    for (const column of table.columns) {
      columns += 1;
      if (tagOf(table.schema, table.name, column.name, column.comment) !== null) {
        tagged += 1;
        continue;
      }
      const found = suggest(table, column);
      if (found !== null)
        suggestions.push({ schema: table.schema, relation: table.name, column: column.name, ...found });
    }
  }
  return { suggestions, tables: tables.length, columns, tagged };
}

/** A `pii:` part to paste; what could break out of a comment or a quoted text is escaped. */
export function suggestionsYaml(
  { suggestions, tables, columns, tagged, unread, partial }: Suggestions,
  target: string,
): string {
  const out = [
    `# ${columns} columns of ${tables} tables of ${target} were looked at; ${tagged} carry a tag already.`,
    ...(unread.length === 0
      ? []
      : [
          `# By names alone, their values cannot be read: ${unread.slice(0, 20).map(quoted).join(', ')}${unread.length > 20 ? ` and ${unread.length - 20} more` : ''}`,
        ]),
    ...(partial ? ['# Not everything was looked at: it took too long, or there are too many tables.'] : []),
  ];
  if (suggestions.length === 0)
    return [...out, '# Nothing more looks like personal data or a secret.'].join('\n');
  out.push('pii:');
  for (const tag of [...new Set(suggestions.map((one) => one.tag))]) {
    out.push(`  - tag: ${tag}`, '    columns:');
    for (const one of suggestions) {
      if (one.tag !== tag) continue;
      const glob = [one.schema, one.relation, one.column].map(globPart).join('.');
      out.push(`      - ${quoted(glob)} # ${one.why}`);
    }
  }
  return out.join('\n');
}

const globPart = (name: string): string => (/^[^".]+$/.test(name) ? name : `"${name.replace(/"/g, '""')}"`);
/** JSON is YAML; everything that is not plain goes in escaped. */
const quoted = (text: string): string =>
  JSON.stringify(text).replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (char) =>
    [...Array(char.length).keys()]
      .map((i) => `\\u${char.charCodeAt(i).toString(16).padStart(4, '0')}`)
      .join(''),
  );
