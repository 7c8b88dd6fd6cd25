/**
 * An OIDC token becomes an identity, or a refusal in one sentence (DESIGN.md 17). Nothing of a token is used before its signature
 * holds, except `iss`, which only picks among the configured issuers.
 */
import { createHash } from 'node:crypto';
import { decodeJwt, errors, type JWTPayload, jwtVerify } from 'jose';
import { claim, groupsOf, text } from './claims.ts';
import type { Issuer } from './issuer.ts';
import type { Identity, Owner } from './types.ts';

const MAX_TOKEN_BYTES = 16 * 1024;
/** Clocks may differ this much for `nbf`; expiry has no grace. */
const CLOCK_TOLERANCE_S = 30;
/** RFC 7519 and RFC 9068. Logout tokens, DPoP proofs, security events and the like are no proof of who logs in. */
const TOKEN_TYPES = new Set(['jwt', 'at+jwt', 'application/at+jwt', 'application/jwt']);

/** `ended`: it is genuine, and stands no more. */
export type TokenResult =
  | Identity
  | {
      readonly refused: string;
      readonly ended?: {
        readonly standing: 'expired' | 'revoked' | 'suspended';
        readonly identity: Identity;
      };
    };

function ownerOf(payload: JWTPayload, issuer: Issuer, subject: string): Owner | { readonly refused: string } {
  const names = issuer.config.claims ?? {};
  const ownEmail =
    payload['email_verified'] !== false && payload['email_verified'] !== 'false'
      ? text(claim(payload, names.email ?? 'email'))
      : null;
  if (names.owner === undefined) {
    const email = ownEmail?.toLowerCase() ?? null;
    return {
      id: email ?? `${issuer.config.issuer}|${subject}`,
      name: text(payload['name']) ?? ownEmail ?? subject,
      email,
    };
  }
  // A claim that was configured and is missing must not fall back on the subject: the owner decides who may approve.
  const value = text(claim(payload, names.owner));
  if (value === null) return { refused: `the token has no usable claim ${JSON.stringify(names.owner)}` };
  if (value.includes('@')) {
    const email = value.toLowerCase();
    const name = ownEmail?.toLowerCase() === email ? text(payload['name']) : null;
    return { id: email, name: name ?? value, email };
  }
  return { id: `${issuer.config.issuer}|${value}`, name: value, email: null };
}

function credentialIdOf(token: string, payload: JWTPayload, issuer: Issuer): string {
  const jti = text(payload.jti);
  // A jti is unique within its issuer only.
  const digest = createHash('sha256').update(jti === null ? token : `${issuer.config.issuer}\0${jti}`);
  return `jwt:${digest.digest('base64url').slice(0, 22)}`;
}

function refusal(error: unknown, issuer: Issuer): string {
  if (error instanceof errors.JWTExpired) return 'the token has expired; get a new one';
  if (error instanceof errors.JWTClaimValidationFailed) {
    if (error.claim === 'aud') {
      return `the token is not meant for audience ${JSON.stringify(issuer.config.audience)}`;
    }
    if (error.claim === 'nbf') return 'the token is not valid yet';
    const known = ['exp', 'sub', 'iss', 'iat'].includes(error.claim);
    return known ? `the token's claim ${error.claim} is missing or wrong` : 'a claim of the token is wrong';
  }
  if (error instanceof errors.JOSEAlgNotAllowed) {
    return `the token's algorithm is not one of ${issuer.algorithms.join(', ')}`;
  }
  if (error instanceof errors.JWSSignatureVerificationFailed) return 'the token has a wrong signature';
  if (error instanceof errors.JWKSNoMatchingKey) return 'the issuer has no such signing key';
  if (error instanceof errors.JWSInvalid || error instanceof errors.JWTInvalid) {
    return 'the password is not a well-formed token';
  }
  return 'the issuer could not be asked for its keys; try again shortly';
}

export async function verifyToken(
  token: string,
  issuers: ReadonlyMap<string, Issuer>,
  now: () => number,
): Promise<TokenResult> {
  if (token.length > MAX_TOKEN_BYTES) return { refused: 'the token is too large' };
  let named: unknown;
  try {
    named = decodeJwt(token).iss;
  } catch {
    return { refused: 'the password is not a well-formed token' };
  }
  const issuer = typeof named === 'string' ? issuers.get(named) : undefined;
  if (issuer === undefined) return { refused: "the token's issuer is not configured here" };

  let verified: Awaited<ReturnType<typeof jwtVerify>>;
  try {
    verified = await jwtVerify(token, await issuer.keys(), {
      issuer: issuer.config.issuer,
      audience: issuer.config.audience,
      algorithms: [...issuer.algorithms],
      requiredClaims: ['exp', 'sub'],
      clockTolerance: CLOCK_TOLERANCE_S,
      currentDate: new Date(now()),
    });
  } catch (error) {
    return { refused: refusal(error, issuer) };
  }
  const { payload, protectedHeader } = verified;
  if (protectedHeader.typ !== undefined && !TOKEN_TYPES.has(String(protectedHeader.typ).toLowerCase())) {
    return { refused: 'the token is of a type that does not log anyone in' };
  }
  const expiresAt = Math.floor((payload.exp ?? 0) * 1000);
  if (!(expiresAt > now())) return { refused: 'the token has expired; get a new one' };
  const subject = text(payload.sub);
  if (subject === null) return { refused: "the token's claim sub is missing or wrong" };
  const names = issuer.config.claims ?? {};
  const groups = groupsOf(claim(payload, names.groups ?? 'groups'));
  if (groups === null) {
    return { refused: "the token's groups are malformed or more than 200" };
  }
  const owner = ownerOf(payload, issuer, subject);
  if ('refused' in owner) return owner;
  const agentValue = names.agent === undefined ? undefined : claim(payload, names.agent);
  const agent = text(agentValue);
  if (agentValue !== undefined && agentValue !== null && agent === null) {
    return { refused: `the token has no usable claim ${JSON.stringify(names.agent)}` };
  }
  return {
    credentialId: credentialIdOf(token, payload, issuer),
    subject,
    owner,
    agent,
    groups,
    expiresAt,
    via: 'oidc',
  };
}
