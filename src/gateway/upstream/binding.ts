/** Channel binding `tls-server-end-point` (RFC 5929, section 4): a hash of the server's certificate, which nobody in between can show. */
import { createHash } from 'node:crypto';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';

/** Object identifiers of signature algorithms (DER) by the hash they name; MD5 and SHA-1 stand for SHA-256. */
const HASHES: ReadonlyMap<string, string> = new Map([
  ...(
    [
      ['04', 'sha256'],
      ['05', 'sha256'],
      ['0b', 'sha256'],
      ['0c', 'sha384'],
      ['0d', 'sha512'],
      ['0e', 'sha224'],
    ] as const
  ).map(([end, hash]) => [`2a864886f70d0101${end}`, hash] as const),
  ...(
    [
      ['01', 'sha256'],
      ['0301', 'sha224'],
      ['0302', 'sha256'],
      ['0303', 'sha384'],
      ['0304', 'sha512'],
    ] as const
  ).map(([end, hash]) => [`2a8648ce3d04${end}`, hash] as const),
]);

/** null: no TLS, or a signature algorithm that names no hash of its own. */
export function serverEndPoint(socket: Socket): Buffer | null {
  if (!(socket instanceof TLSSocket)) return null;
  const certificate = socket.getPeerX509Certificate()?.raw;
  if (certificate === undefined) return null;
  const hash = HASHES.get(signatureAlgorithm(certificate) ?? '');
  return hash === undefined ? null : createHash(hash).update(certificate).digest();
}

/** Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm SEQUENCE { OBJECT IDENTIFIER, … }, … } (RFC 5280). */
export function signatureAlgorithm(der: Buffer): string | null {
  const certificate = element(der, 0);
  const body = certificate && element(der, certificate.start);
  const algorithm = body && element(der, body.end);
  const oid = algorithm && element(der, algorithm.start);
  return oid && der[algorithm.start] === 0x06 ? der.toString('hex', oid.start, oid.end) : null;
}

function element(der: Buffer, at: number): { readonly start: number; readonly end: number } | null {
  const first = der[at + 1];
  if (first === undefined) return null;
  const more = first < 0x80 ? 0 : first & 0x7f;
  if (more > 4 || at + 2 + more > der.length) return null;
  const start = at + 2 + more;
  const end = start + (more === 0 ? first & 0x7f : der.readUIntBE(at + 2, more));
  return end <= der.length ? { start, end } : null;
}
