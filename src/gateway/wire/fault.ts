type Code = '08P01' | '54000' | '22021' | '22023';

/** The peer broke the protocol. `message` holds no data of the peer's. The link cannot go on: bytes and meaning are out of step. */
export class WireFault extends Error {
  readonly code: Code;
  constructor(message: string, code: Code = '08P01') {
    super(message);
    this.name = 'WireFault';
    this.code = code;
  }
}

/** One message is malformed within a sound frame: what follows can still be told apart, so that the server answers with an ERROR and goes on. */
export class MessageFault extends WireFault {}
