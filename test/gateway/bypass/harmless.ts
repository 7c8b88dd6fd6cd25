/** Cases that change nothing where they are said to the server itself, and why: what they could do, only the gateway's own handling could make them do. */
const DROPPED =
  'the server has dropped the unnamed statement or the portal; a gateway could believe that it has not';
const UNDONE = 'the server skips or undoes it; a gateway could send it by itself';
const FRAMES = 'to the server it is one message or none; a gateway could read another out of it';

export const HARMLESS: Readonly<Record<string, string>> = {
  'the unnamed statement behind a Query that fails': DROPPED,
  'the unnamed statement behind a probe': DROPPED,
  'a held Parse, replaced while it is looked at': DROPPED,
  'a Query in front of an Execute without Sync': DROPPED,
  'a Sync in the middle': DROPPED,
  'SQL prepared, deallocated in a string that fails': 'DEALLOCATE lasts; a gateway could take it back',
  'a portal that is bound anew': UNDONE,
  'a portal that fails behind one that did not': UNDONE,
  'a Query behind a held Parse without Sync': UNDONE,
  'no Sync at all, then goodbye': UNDONE,
  'what the server skips': UNDONE,
  'a Query while the server skips': UNDONE,
  'a Query amid the data': FRAMES,
  FunctionCall: 'there is no such function; a gateway could call another',
  'a Query behind its end': FRAMES,
  'a Query without its end': FRAMES,
  'a Query inside of a Query': FRAMES,
  'a Parse behind its end': FRAMES,
  'a Query that says it is shorter': FRAMES,
  'a length of zero': FRAMES,
  'a length of three': FRAMES,
  'a negative length': FRAMES,
  'a length past the end': FRAMES,
  'an unknown message with a Query in it': FRAMES,
  'a password message with a Query in it': FRAMES,
  'a CopyData with a Query in it': FRAMES,
  'a text that is not UTF-8': 'the server refuses the text; a gateway could mend it',
  'NOTIFY with it': 'to the server it is a text; a gateway could take it for a statement',
  local_preload_libraries: 'there is no such library; a gateway could let one be named',
};
