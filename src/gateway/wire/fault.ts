/** The peer broke the protocol. `message` holds no data of the peer's. The link cannot go on: bytes and meaning are out of step. */
export class WireFault extends Error {
  readonly code: '08P01' | '54000';
  constructor(message: string, code: '08P01' | '54000' = '08P01') {
    super(message);
    this.name = 'WireFault';
    this.code = code;
  }
}
