/** The policy that a newcomer starts with. It is a text like any other: `holdpoint policy default > policy.yaml` and go on from there. */
export const DEFAULT_POLICY = `# yaml-language-server: $schema=policy.schema.json
# Holdpoint's default policy. Reference: docs/policy.md; for the line above: holdpoint policy schema > policy.schema.json
version: 1

# Where the defaults below start from: guarded, strict, read-only, observe (nothing enforced, all of it recorded).
preset: guarded

# Columns that hold personal data: schema.table.column, read from the right (ssn = *.*.ssn), * inside one part.
# A column whose comment says pii:<tag> is tagged too (COMMENT ON COLUMN app.users.phone IS 'pii:phone').
pii:
  - columns: ["*.customers.email", "*.users.email", "*.*.email_address"]
    tag: email
  - columns: ["*.*.ssn", "*.*.social_security_number", "*.*.national_id"]
    tag: ssn
  - columns: ["*.*.credit_card", "*.*.credit_card_number", "*.*.card_number", "*.*.iban"]
    tag: payment
  - columns: ["*.*.password", "*.*.password_hash", "*.*.passwd", "*.*.secret", "*.*.api_key"]
    tag: secret

# Your own functions that are known to do nothing but compute: schema.function. All others are looked into, or wait.
trusted_functions: []

# What happens where no rule decides. These are the built-in values; change them here.
defaults:
  read: allow
  insert: allow
  update: allow
  merge: hold
  copy: allow
  lock: hold
  delete: hold
  truncate: hold
  ddl: hold
  dcl: hold
  admin: hold
  call: hold
  do: hold
  unknown: hold
  missing_where: hold
  pii_value: hold
  pii_predicate: allow
  pii_written: allow

# The most restrictive rule that matches wins: deny, then hold, then allow.
rules:
  - name: ddl
    match: { classes: [ddl] }
    effect: hold
    message: it changes the schema

  - name: deletes
    match: { classes: [delete, truncate] }
    effect: hold

  - name: update-without-where
    match: { classes: [update], missing_where: true }
    effect: hold
    message: it has no WHERE and changes every row

  - name: pii
    match: { tags: [email, ssn, payment, secret, pii], use: [value] }
    effect: hold
    message: it reads personal data; leave these columns out if they are not needed
`;

/** The demo's policy: the same. */
export const demoPolicyText = DEFAULT_POLICY;

/** A target without a policy file: the built-in defaults per class, no rule, no column known as personal data. */
export const defaultPolicyText = 'version: 1\n';
