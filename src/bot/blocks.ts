/** Block Kit, as little of it as the cards need. Slack's types check no lengths (SLACK.md trap 8): the cuts are here. */
import { cut } from './text.ts';

export interface Block {
  readonly type: string;
  readonly block_id?: string;
  readonly [key: string]: unknown;
}
export interface Message {
  /** Fallback and push text, `& < >` escaped. */
  readonly text: string;
  readonly blocks: readonly Block[];
}
export interface PlainText {
  readonly type: 'plain_text';
  readonly text: string;
  readonly emoji: false;
}

/** Nothing is interpreted in here: no mention, no link, no emoji. */
export function plain(text: string, max: number): PlainText {
  return { type: 'plain_text', text: cut(text, max) || ' ', emoji: false };
}
/** Words of our own only, and dates; foreign text never comes in here. */
export function mrkdwn(text: OwnWords): { readonly type: 'mrkdwn'; readonly text: string } {
  return { type: 'mrkdwn', text: text.words };
}
/** Proof that a mrkdwn string was written in this folder: made by `own` from literals and dates. */
export interface OwnWords {
  readonly kind: 'own-words';
  readonly words: string;
}
/** `own` takes a template whose holes are dates and numbers, so that no foreign string fits. */
export function own(strings: TemplateStringsArray, ...holes: readonly (SlackDate | number)[]): OwnWords {
  const words = strings.reduce((out, part, index) => {
    const hole = holes[index];
    return out + part + (hole === undefined ? '' : typeof hole === 'number' ? String(hole) : hole.token);
  }, '');
  return { kind: 'own-words', words };
}

/** A time in the reader's own zone, with a UTC fallback. */
export interface SlackDate {
  readonly kind: 'date';
  readonly token: string;
}
export function date(at: number): SlackDate {
  const fallback = `${new Date(at).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
  return { kind: 'date', token: `<!date^${Math.floor(at / 1000)}^{date_short_pretty} {time}|${fallback}>` };
}

export function header(text: string, blockId: string): Block {
  return { type: 'header', block_id: blockId, text: plain(text, 150) };
}
export function section(text: string, blockId: string): Block {
  return { type: 'section', block_id: blockId, text: plain(text, 3000) };
}
export function wordsSection(text: OwnWords, blockId: string): Block {
  return { type: 'section', block_id: blockId, text: mrkdwn(text) };
}
export function context(
  elements: readonly (PlainText | { readonly type: 'mrkdwn'; readonly text: string })[],
  blockId: string,
): Block {
  return { type: 'context', block_id: blockId, elements: elements.slice(0, 10) };
}
/** Text as it is, in a fixed-width block where nothing parses. Slack refuses an empty text element. */
export function preformatted(label: string | null, text: string, blockId: string): Block {
  const elements: object[] = [];
  if (label !== null)
    elements.push({
      type: 'rich_text_section',
      elements: [{ type: 'text', text: label, style: { bold: true } }],
    });
  elements.push({ type: 'rich_text_preformatted', elements: [{ type: 'text', text: text || ' ' }] });
  return { type: 'rich_text', block_id: blockId, elements };
}
/** A bold label and foreign text beside it, both inert. */
export function labelled(label: string, text: string, blockId: string): Block {
  return {
    type: 'rich_text',
    block_id: blockId,
    elements: [
      {
        type: 'rich_text_section',
        elements: [
          { type: 'text', text: `${label} `, style: { bold: true } },
          { type: 'text', text: text || ' ' },
        ],
      },
    ],
  };
}

/** A bold label of ours and foreign text, inert. */
export type Line = readonly [
  label: { readonly text: string; readonly [key: string]: unknown },
  ...rest: object[],
];
export function line(label: string, text: string, mention: Mention | null = null): Line {
  return [
    { ...textOf(`${label} `), style: { bold: true } },
    textOf(cut(text, 1000) || ' '),
    ...(mention === null ? [] : call(mention)),
  ];
}
export function lines(all: readonly Line[], blockId: string): Block {
  const elements = all.flatMap(([label, ...rest], index) => [
    index === 0 ? label : { ...label, text: `\n${label.text}` },
    ...rest,
  ]);
  return { type: 'rich_text', block_id: blockId, elements: [{ type: 'rich_text_section', elements }] };
}

/** Somebody whom the configuration names; no text of others ever becomes one. */
export interface Mention {
  readonly kind: 'user' | 'usergroup';
  readonly id: string;
}
export function mentionOf(id: string): Mention | null {
  if (/^S[A-Z0-9]{2,30}$/.test(id)) return { kind: 'usergroup', id };
  return /^[UW][A-Z0-9]{2,30}$/.test(id) ? { kind: 'user', id } : null;
}
const textOf = (text: string) => ({ type: 'text', text }) as const;
const call = ({ kind, id }: Mention): readonly object[] => [
  { type: 'text', text: ' ' },
  kind === 'user' ? { type: 'user', user_id: id } : { type: 'usergroup', usergroup_id: id },
];
/** Words, and who is called. */
export function mentioned(words: string, who: readonly Mention[], blockId: string): Block {
  const elements = [{ type: 'text', text: cut(words, 1000) }, ...who.flatMap(call)];
  return { type: 'rich_text', block_id: blockId, elements: [{ type: 'rich_text_section', elements }] };
}
