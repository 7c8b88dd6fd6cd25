/**
 * Messages of a client as one line of text each, so that a failing sequence can be read, kept and run again:
 *
 * `Q select 1` · `P:name select $1` · `P:name(23,25) select …` · `B:portal<statement ["5",null]` · `E:portal 2` · `DS:name` `DP:portal` ·
 * `CS:name` `CP:portal` · `S` `H` `X` · `d a line of COPY` · `c` · `f why` · `raw Q 73656c00` (type and body in hex) · `hex 51ff` (bytes).
 */
import { serialize } from '../support/wire-client.ts';

export const message = (type: string, body: Buffer): Buffer => {
  const head = Buffer.alloc(5);
  head.write(type, 'latin1');
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
};

export function bytesOf(step: string): Buffer {
  const [, head = '', rest = ''] = /^(\S+) ?(.*)$/s.exec(step) ?? [];
  const at = head.indexOf(':');
  const name = at < 0 ? '' : head.slice(at + 1);
  switch (at < 0 ? head : head.slice(0, at)) {
    case 'Q':
      return serialize.query(rest);
    case 'P': {
      const [, plain = name, types = ''] = /^(.*)\(([\d,]*)\)$/.exec(name) ?? [];
      return serialize.parse({
        name: plain,
        text: rest,
        types: types === '' ? [] : types.split(',').map(Number),
      });
    }
    case 'B': {
      const [portal = '', statement = ''] = name.split('<');
      const values = rest === '' ? [] : (JSON.parse(rest) as (string | null)[]);
      return serialize.bind({ portal, statement, values });
    }
    case 'E':
      return serialize.execute({ portal: name, rows: Number(rest) });
    case 'DS':
    case 'DP':
      return serialize.describe({ type: head[1] === 'S' ? 'S' : 'P', name });
    case 'CS':
    case 'CP':
      return serialize.close({ type: head[1] === 'S' ? 'S' : 'P', name });
    case 'S':
      return serialize.sync();
    case 'H':
      return serialize.flush();
    case 'X':
      return serialize.end();
    case 'd':
      return serialize.copyData(Buffer.from(rest));
    case 'c':
      return serialize.copyDone();
    case 'f':
      return serialize.copyFail(rest);
    case 'raw':
      return message(rest.slice(0, 1), Buffer.from(rest.slice(2), 'hex'));
    case 'hex':
      return Buffer.from(rest, 'hex');
    default:
      throw new Error(`no such step: ${step}`);
  }
}
