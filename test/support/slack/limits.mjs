/** Slack's limits (SLACK.md "Limits"): null, or [error, where]. Stricter than Slack where Slack's own figure is not published. */
const TOTAL = 8000;

export function checkMessage(args, { update = false } = {}) {
  const { text, blocks } = args;
  if (text !== undefined && typeof text !== 'string') return ['invalid_arguments', 'text'];
  if (text !== undefined && text.length > 40_000) return ['msg_too_long', 'text'];
  if (!blocks && !text) return ['no_text', 'text'];
  if (blocks && !text) return ['no_text', 'fallback text is missing'];
  if (text !== undefined && badMrkdwn(text)) return ['invalid_blocks', `unescaped text: ${badMrkdwn(text)}`];
  if (!update && blocks === undefined) return null;
  if (blocks === undefined) return null;
  if (!Array.isArray(blocks)) return ['invalid_blocks_format', 'blocks'];
  if (blocks.length > 50) return ['invalid_blocks', 'more than 50 blocks'];
  const fault = checkBlocks(blocks);
  if (fault) return ['invalid_blocks', fault];
  if (total(blocks) > TOTAL) return ['msg_blocks_too_long', `${total(blocks)} characters`];
  if (JSON.stringify(blocks).length > 16_000) return ['msg_blocks_too_long', 'as JSON'];
  return null;
}

export function checkView(view) {
  if (view?.type !== 'modal' && view?.type !== 'home') return ['invalid_arguments', 'view.type'];
  if (!Array.isArray(view.blocks) || view.blocks.length > 100) return ['invalid_arguments', 'view.blocks'];
  if ((view.private_metadata ?? '').length > 3000) return ['invalid_arguments', 'private_metadata'];
  if ((view.callback_id ?? '').length > 255) return ['invalid_arguments', 'callback_id'];
  if (view.type === 'modal') {
    if (!plain(view.title, 24)) return ['invalid_arguments', 'title'];
    for (const key of ['submit', 'close'])
      if (view[key] !== undefined && !plain(view[key], 24)) return ['invalid_arguments', key];
    if (view.blocks.some((b) => b.type === 'input') && !view.submit) return ['invalid_arguments', 'submit'];
  }
  const fault = checkBlocks(view.blocks);
  return fault ? ['invalid_arguments', fault] : null;
}

/** Anything that Slack would read as markup in a mrkdwn string: only dates are ours. */
export function badMrkdwn(text) {
  const rest = text.replaceAll(/<!date\^\d+\^[^|<>^]+\|[^<>]*>/g, '');
  const loose = /[<>]|&(?!amp;|lt;|gt;)/.exec(rest);
  return loose ? rest.slice(loose.index, loose.index + 20) : null;
}

export function total(value) {
  let sum = 0;
  if (Array.isArray(value)) for (const each of value) sum += total(each);
  else if (value && typeof value === 'object')
    for (const [key, each] of Object.entries(value))
      sum += key === 'text' && typeof each === 'string' ? each.length : total(each);
  return sum;
}

function plain(object, max) {
  return (
    object?.type === 'plain_text' &&
    typeof object.text === 'string' &&
    object.text.length > 0 &&
    object.text.length <= max
  );
}
function textObject(object, max) {
  if (object?.type === 'plain_text') return plain(object, max);
  if (object?.type !== 'mrkdwn') return false;
  return (
    typeof object.text === 'string' &&
    object.text !== '' &&
    object.text.length <= max &&
    !badMrkdwn(object.text)
  );
}

function checkBlocks(blocks) {
  const ids = new Set();
  for (const [index, block] of blocks.entries()) {
    const at = `blocks[${index}] (${block?.type})`;
    if (block?.block_id !== undefined) {
      if (typeof block.block_id !== 'string' || block.block_id.length > 255) return `${at}: block_id`;
      if (ids.has(block.block_id)) return `${at}: block_id used twice`;
      ids.add(block.block_id);
    }
    // Within a block; two blocks may have the same.
    const fault = checkBlock(block, new Set());
    if (fault) return `${at}: ${fault}`;
  }
  return null;
}

function checkBlock(block, actions) {
  switch (block?.type) {
    case 'header':
      return plain(block.text, 150) ? null : 'header text';
    case 'divider':
      return null;
    case 'section':
      if (!block.text && !block.fields) return 'neither text nor fields';
      if (block.text && !textObject(block.text, 3000)) return 'text';
      if (block.accessory) {
        const fault = checkElement(block.accessory, actions);
        if (fault) return fault;
      }
      if (block.fields) {
        if (!Array.isArray(block.fields) || block.fields.length < 1 || block.fields.length > 10)
          return 'fields';
        if (!block.fields.every((each) => textObject(each, 2000))) return 'a field';
      }
      return null;
    case 'context':
      if (!Array.isArray(block.elements) || block.elements.length < 1 || block.elements.length > 10)
        return 'elements';
      return block.elements.every((each) => textObject(each, 2000)) ? null : 'an element';
    case 'actions':
      if (!Array.isArray(block.elements) || block.elements.length < 1 || block.elements.length > 25)
        return 'elements';
      for (const element of block.elements) {
        const fault = checkElement(element, actions);
        if (fault) return fault;
      }
      return null;
    case 'input':
      if (!plain(block.label, 2000)) return 'label';
      return checkElement(block.element, actions);
    case 'rich_text':
      return checkRich(block.elements);
    default:
      return 'unknown block type';
  }
}

function checkElement(element, actions) {
  const id = element?.action_id;
  if (typeof id !== 'string' || id.length < 1 || id.length > 255) return 'action_id';
  if (actions.has(id)) return `action_id ${id} used twice`;
  actions.add(id);
  switch (element.type) {
    case 'button':
      if (!plain(element.text, 75)) return 'button text';
      if (element.value !== undefined && (typeof element.value !== 'string' || element.value.length > 2000))
        return 'value';
      if (element.url !== undefined && (element.url.length > 3000 || !/^https?:\/\//.test(element.url)))
        return 'url';
      if (element.style !== undefined && !['primary', 'danger'].includes(element.style)) return 'style';
      return element.confirm === undefined ? null : checkConfirm(element.confirm);
    case 'static_select':
      if (element.placeholder !== undefined && !plain(element.placeholder, 150)) return 'placeholder';
      if (!Array.isArray(element.options) || element.options.length < 1 || element.options.length > 100)
        return 'options';
      for (const option of element.options)
        if (!plain(option.text, 75) || typeof option.value !== 'string' || option.value.length > 150)
          return 'an option';
      return element.confirm === undefined ? null : checkConfirm(element.confirm);
    case 'plain_text_input':
      return (element.max_length ?? 1) <= 3000 ? null : 'max_length';
    default:
      return `unknown element ${element.type}`;
  }
}
function checkConfirm(confirm) {
  if (!plain(confirm.title, 100)) return 'confirm title';
  if (!textObject(confirm.text, 300)) return 'confirm text';
  return plain(confirm.confirm, 30) && plain(confirm.deny, 30) ? null : 'confirm buttons';
}

function checkRich(elements) {
  if (!Array.isArray(elements) || elements.length < 1) return 'elements';
  for (const element of elements) {
    if (!['rich_text_section', 'rich_text_preformatted', 'rich_text_quote'].includes(element?.type))
      return 'rich text element';
    if (!Array.isArray(element.elements) || element.elements.length < 1) return 'empty rich text';
    for (const leaf of element.elements) {
      if (leaf.type === 'text') {
        if (typeof leaf.text !== 'string' || leaf.text === '') return 'empty text leaf';
        if (leaf.text.length > 4000) return 'long text leaf';
      } else if (leaf.type === 'link') {
        if (!/^https?:\/\//.test(leaf.url ?? '')) return 'link';
      } else if (leaf.type === 'user') {
        if (!/^[UW][A-Z0-9]+$/.test(leaf.user_id ?? '')) return 'user';
      } else if (leaf.type === 'usergroup') {
        if (!/^S[A-Z0-9]+$/.test(leaf.usergroup_id ?? '')) return 'usergroup';
      } else return `rich text leaf ${leaf.type}`;
      if (element.type === 'rich_text_preformatted' && leaf.style) return 'style in preformatted';
    }
  }
  return null;
}
