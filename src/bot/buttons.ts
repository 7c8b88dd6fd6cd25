/** Buttons that several messages have. */
import type { ApprovalRequest } from '../approvals/types.ts';
import { plain } from './blocks.ts';
import { ACTION, DENY_REASONS, encodeChoice } from './ids.ts';

/** One menu of reasons; only "Other…" asks for words. */
export function denyMenu(request: ApprovalRequest): object {
  return {
    type: 'static_select',
    action_id: ACTION.deny,
    placeholder: plain('Deny…', 150),
    options: DENY_REASONS.map((each) => ({
      text: plain(each.label, 75),
      value: encodeChoice(request, each.code),
    })),
  };
}

/** A link carries no authority: the console asks who it is. */
export function consoleButton(publicUrl: string, path: string, actionId: string): object {
  return {
    type: 'button',
    action_id: actionId,
    text: plain('Open in console', 75),
    url: `${publicUrl.replace(/\/+$/, '')}/${path}`,
  };
}
