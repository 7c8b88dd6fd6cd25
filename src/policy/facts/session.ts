/** Statements about the session: transactions and settings. */
import type { Context } from '../lineage/context.ts';
import type { Tree } from '../parse/node.ts';
import { asList, asText, literalText, nodeOf } from '../parse/node.ts';
import { settingClass } from './functions.ts';

export function transaction(node: Tree, context: Context): void {
  const { out } = context;
  out.raise('transaction');
  const name = asText(node['savepoint_name']);
  switch (node['kind']) {
    case 'TRANS_STMT_BEGIN':
    case 'TRANS_STMT_START':
      out.effects.push({ kind: 'begin' });
      break;
    case 'TRANS_STMT_COMMIT':
      out.effects.push({ kind: 'commit' });
      break;
    // Its locks outlive the session, and whoever ends it is not asked for what is in it.
    case 'TRANS_STMT_PREPARE':
      out.raise('admin');
      out.effects.push({ kind: 'commit' });
      break;
    case 'TRANS_STMT_ROLLBACK':
      out.effects.push({ kind: 'rollback' });
      break;
    case 'TRANS_STMT_SAVEPOINT':
      out.effects.push({ kind: 'savepoint', name });
      break;
    case 'TRANS_STMT_ROLLBACK_TO':
      out.effects.push({ kind: 'rollback-to', name });
      break;
    case 'TRANS_STMT_RELEASE':
      break;
    // What they end may be anybody's work.
    case 'TRANS_STMT_COMMIT_PREPARED':
    case 'TRANS_STMT_ROLLBACK_PREPARED':
      out.raise('admin');
      break;
    default:
      out.unknowns.add('transaction statement');
  }
  // AND CHAIN begins anew.
  if (node['chain'] === true) out.effects.push({ kind: 'begin' });
  for (const item of asList(node['options'])) {
    const option = nodeOf(item, 'DefElem');
    if (option === null) continue;
    const value = literalText(option['arg']);
    out.settings.push({ name: asText(option['defname']).toLowerCase(), value, local: true, form: 'set' });
  }
}

export function variableSet(node: Tree, form: 'set' | 'alter-role', context: Context): void {
  const { out } = context;
  const name = asText(node['name']).toLowerCase();
  const local = node['is_local'] === true;
  const args = asList(node['args']);
  const before = out.settings.length;
  switch (node['kind']) {
    case 'VAR_SET_VALUE': {
      // As the server keeps it: one schema may be called "a, b".
      const quoted = (part: string | null) => (part !== null && /[^\w$]/.test(part) ? `"${part}"` : part);
      const parts = args.map(literalText).map(name === 'search_path' ? quoted : (part) => part);
      const value = parts.length > 0 && parts.every((part) => part !== null) ? parts.join(', ') : null;
      out.settings.push({ name, value, local, form });
      break;
    }
    case 'VAR_SET_CURRENT':
      out.settings.push({ name, value: null, local, form });
      break;
    case 'VAR_SET_DEFAULT':
    case 'VAR_RESET':
      out.settings.push({ name, value: null, local, form: form === 'set' ? 'reset' : form });
      break;
    case 'VAR_RESET_ALL':
      out.settings.push({ name: '*', value: null, local: false, form: form === 'set' ? 'reset' : form });
      break;
    case 'VAR_SET_MULTI':
      // SET TRANSACTION …, SET SESSION CHARACTERISTICS AS TRANSACTION …
      if (name === 'transaction' || name === 'transaction snapshot') out.raise('transaction');
      for (const arg of args) {
        const option = nodeOf(arg, 'DefElem');
        if (option === null) continue;
        const setting = asText(option['defname']).toLowerCase();
        const full = name === 'session characteristics' ? `default_${setting}` : setting;
        out.settings.push({
          name: full,
          value: literalText(option['arg']),
          local: name !== 'session characteristics',
          form,
        });
      }
      break;
    default:
      out.settings.push({ name: '*', value: null, local: false, form: 'unknown' });
  }
  if (form === 'set') for (const change of out.settings.slice(before)) out.raise(settingClass(change));
}
