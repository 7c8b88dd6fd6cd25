/** Buttons that several messages have. */
import { plain } from './blocks.ts';

/** A link carries no authority: the console asks who it is. */
export function consoleButton(publicUrl: string, path: string, actionId: string): object {
  return {
    type: 'button',
    action_id: actionId,
    text: plain('Open in console', 75),
    url: `${publicUrl.replace(/\/+$/, '')}/${path}`,
  };
}
