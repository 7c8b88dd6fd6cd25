/** Block Kit as HTML, near enough to Slack to judge a card by: what the cards use of it, and nothing else. */

const esc = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
const breaks = (text) => esc(text).replaceAll('\n', '<br>');
/** Dates as a reader in UTC sees them. */
const date = (at) =>
  `${new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit', timeZone: 'UTC' }).format(at * 1000)}`;

function textOf({ type, text }) {
  if (type === 'plain_text') return breaks(text);
  const parts = text.split(/(<!date\^\d+\^[^>]*>)/);
  return parts
    .map((part) => {
      const at = /^<!date\^(\d+)\^/.exec(part)?.[1];
      return at === undefined ? breaks(part).replaceAll('&amp;amp;', '&amp;') : esc(date(Number(at)));
    })
    .join('');
}

function leaf(each, names) {
  if (each.type === 'text') {
    let html = breaks(each.text);
    if (each.style?.bold) html = `<b>${html}</b>`;
    if (each.style?.code) html = `<code>${html}</code>`;
    return html;
  }
  if (each.type === 'link') return `<a>${esc(each.text ?? each.url)}</a>`;
  const id = each.user_id ?? each.usergroup_id;
  return `<span class="mention">@${esc(names[id] ?? id)}</span>`;
}
const rich = (element, names) =>
  element.type === 'rich_text_preformatted'
    ? `<pre>${element.elements.map((each) => esc(each.text)).join('')}</pre>`
    : `<p>${element.elements.map((each) => leaf(each, names)).join('')}</p>`;

function control(element) {
  const label = esc((element.text ?? element.placeholder).text);
  if (element.type === 'static_select') return `<span class="select">${label}<i>⌄</i></span>`;
  return `<span class="button ${element.style ?? ''}">${label}</span>`;
}

function block(each, names) {
  switch (each.type) {
    case 'header':
      return `<h3>${textOf(each.text)}</h3>`;
    case 'divider':
      return '<hr>';
    case 'section': {
      const side = each.accessory ? `<span class="side">${control(each.accessory)}</span>` : '';
      return `<div class="section"><p>${textOf(each.text)}</p>${side}</div>`;
    }
    case 'context':
      return `<p class="context">${each.elements.map(textOf).join(' &nbsp;')}</p>`;
    case 'rich_text':
      return each.elements.map((element) => rich(element, names)).join('');
    case 'actions':
      return `<div class="actions">${each.elements.map(control).join('')}</div>`;
    default:
      throw new Error(`a picture has no ${each.type}`);
  }
}

const message = (blocks, { names, time }) =>
  `<article><div class="face">◆</div><div class="body"><div class="by"><b>Holdpoint</b><em>APP</em><time>${time}</time></div>${blocks.map((each) => block(each, names)).join('')}</div></article>`;

/** One page: messages one under the other, the later ones as replies of a thread. */
export function page(messages, { width, names = {}, time = '10:02' }) {
  const [first, ...replies] = messages.map((blocks) => message(blocks, { names, time }));
  const thread = replies.length === 0 ? '' : `<div class="thread">${replies.join('')}</div>`;
  return `<!doctype html><meta charset="utf-8"><style>${STYLE} body{width:${width}px}</style><body>${first}${thread}`;
}

const STYLE = `
*{box-sizing:border-box} body{margin:0;background:#fff;color:#1d1c1d;font:15px/1.46 Lato,"Helvetica Neue",Arial,"DejaVu Sans",sans-serif,"Noto Color Emoji"}
article{display:flex;gap:8px;padding:10px 14px} .face{flex:none;width:36px;height:36px;border-radius:6px;background:#1f2933;color:#fff;text-align:center;line-height:36px}
.body{min-width:0;flex:1} .by em{font:9px/14px Lato,sans-serif;background:#e8e8e8;border-radius:2px;padding:1px 3px;margin:0 6px} time{color:#616061;font-size:12px}
h3{font-size:18px;line-height:1.3;margin:4px 0 6px} p{margin:4px 0;overflow-wrap:anywhere} hr{border:0;border-top:1px solid #ddd;margin:10px 0}
.section{display:flex;gap:8px;justify-content:space-between;align-items:start} .side{flex:none}
.context{color:#616061;font-size:13px} code,pre{font-family:Menlo,"DejaVu Sans Mono",monospace;font-size:12px}
pre{background:#f8f8f8;border:1px solid #ddd;border-radius:4px;padding:8px;margin:6px 0;white-space:pre-wrap;overflow-wrap:anywhere}
code{background:#f8f8f8;border:1px solid #ddd;border-radius:3px;color:#c01343;padding:1px 3px} a{color:#1264a3} .mention{background:#fff3c8;color:#1264a3;border-radius:3px;padding:0 2px}
.actions{display:flex;flex-wrap:wrap;gap:8px;margin:8px 0 4px} .button,.select{border:1px solid #bbb;border-radius:4px;padding:4px 12px;font-weight:700;font-size:14px;background:#fff;display:inline-block}
.select{font-weight:400;min-width:110px} .select i{float:right;font-style:normal;margin-left:12px} .button.primary{background:#007a5a;border-color:#007a5a;color:#fff} .button.danger{background:#e01e5a;border-color:#e01e5a;color:#fff}
.thread{margin-left:34px;border-left:2px solid #eee}`;
