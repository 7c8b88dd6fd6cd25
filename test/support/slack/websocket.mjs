/** The least of RFC 6455 that Socket Mode needs, server side: text frames, ping, pong, close. */
import { createHash } from 'node:crypto';

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

/** Answers the upgrade. Calls onText(text), onClose(). */
export function accept(request, socket, { onText, onClose }) {
  const key = createHash('sha1')
    .update(request.headers['sec-websocket-key'] + GUID)
    .digest('base64');
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${key}\r\n\r\n`,
  );
  let buffer = Buffer.alloc(0);
  let parts = [];
  let open = true;
  const gone = () => {
    if (!open) return;
    open = false;
    onClose();
  };
  const write = (opcode, payload) => {
    if (socket.destroyed) return;
    const length = payload.length;
    const size =
      length < 126 ? Buffer.from([length]) : length < 65_536 ? Buffer.alloc(3, 126) : Buffer.alloc(9, 127);
    if (size.length === 3) size.writeUInt16BE(length, 1);
    if (size.length === 9) size.writeBigUInt64BE(BigInt(length), 1);
    socket.write(Buffer.concat([Buffer.from([0x80 | opcode]), size, payload]));
  };
  const frame = (opcode, payload, fin) => {
    if (opcode === 8) {
      write(8, payload.subarray(0, 2));
      socket.end();
      gone();
    } else if (opcode === 9) write(10, payload);
    else if (opcode === 0 || opcode === 1) {
      parts.push(payload);
      if (!fin) return;
      const text = Buffer.concat(parts).toString('utf8');
      parts = [];
      onText(text);
    }
  };
  socket.on('data', (chunk) => {
    buffer = Buffer.concat([buffer, chunk]);
    for (;;) {
      if (buffer.length < 2) return;
      let length = buffer[1] & 0x7f;
      let at = 2;
      if (length === 126) {
        if (buffer.length < 4) return;
        length = buffer.readUInt16BE(2);
        at = 4;
      } else if (length === 127) {
        if (buffer.length < 10) return;
        length = Number(buffer.readBigUInt64BE(2));
        at = 10;
      }
      // A client that does not mask breaks the protocol.
      if ((buffer[1] & 0x80) === 0) return socket.destroy();
      if (buffer.length < at + 4 + length) return;
      const mask = buffer.subarray(at, at + 4);
      const payload = Buffer.from(buffer.subarray(at + 4, at + 4 + length));
      for (let index = 0; index < payload.length; index += 1) payload[index] ^= mask[index % 4];
      const [first] = buffer;
      buffer = buffer.subarray(at + 4 + length);
      frame(first & 0x0f, payload, (first & 0x80) !== 0);
    }
  });
  socket.on('close', gone);
  // A process that was killed says no goodbye; sockets of an HTTP server stay half open.
  socket.on('end', () => socket.destroy());
  socket.on('error', gone);
  return {
    send: (value) => write(1, Buffer.from(JSON.stringify(value))),
    close: () => {
      write(8, Buffer.from([0x03, 0xe8]));
    },
    destroy: () => socket.destroy(),
  };
}
