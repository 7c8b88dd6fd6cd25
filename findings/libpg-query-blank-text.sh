#!/usr/bin/env bash
# The guess: a text without a statement (blank, a lone `;`, a lone comment)
# gives an empty list of statements, as the server answers each of them with
# EmptyQueryResponse, and every major's package does the same.
#
# What happens: `;` and a comment give an empty list. A blank text throws in
# libpg-query 15.6.3, 16.7.3 and 17.7.4, and not with the package's SqlError
# (which has sqlDetails) but with a plain Error, "Query cannot be empty". What is
# blank is judged by JavaScript's trim(), so a no-break space alone is "empty"
# too, though to PostgreSQL that is an identifier and a syntax error. In 18.1.5
# blanks give an empty list and a no-break space gives an SqlError, yet the
# zero-length text still throws the plain Error.
#
# Why it matters: drivers and pools send blank texts as a ping, and the server
# answers them. A gateway that takes "threw" for "syntax error" refuses the ping;
# one that reads error.sqlDetails without looking fails on undefined; and one
# that works with the package of one major does not with that of another.
set -euo pipefail

DIR=$(mktemp -d); trap 'rm -rf "$DIR"' EXIT
cd "$DIR"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts --save-exact \
  parser15@npm:libpg-query@15.6.3 parser16@npm:libpg-query@16.7.3 \
  parser17@npm:libpg-query@17.7.4 parser18@npm:libpg-query@18.1.5
cat >run.mjs <<'JS'
const texts = { 'semicolon': ';', 'comment': '-- ping', 'two spaces': '  ', 'zero length': '', 'no-break space': '\u00a0' };
for (const major of [15, 16, 17, 18]) {
  const parser = await import(`parser${major}`);
  await parser.loadModule();
  const said = Object.entries(texts).map(([name, text]) => {
    try { return `${name}: ${parser.parseSync(text).stmts.length} statements`; }
    catch (error) { return `${name}: ${error.name}${error.sqlDetails ? '' : ' without sqlDetails'}`; }
  });
  console.log(`${major}  ${said.join(' | ')}`);
}
JS
seen=$(node run.mjs)
old='semicolon: 0 statements | comment: 0 statements | two spaces: Error without sqlDetails | zero length: Error without sqlDetails | no-break space: Error without sqlDetails'
want="15  $old
16  $old
17  $old
18  semicolon: 0 statements | comment: 0 statements | two spaces: 0 statements | zero length: Error without sqlDetails | no-break space: SqlError"
echo 'versions: libpg-query 15.6.3, 16.7.3, 17.7.4, 18.1.5'
echo 'expected: 0 statements for each of the first four texts and SqlError for the last, with every package'
echo 'seen:'; echo "$seen"
if [ "$seen" = "$want" ]; then echo 'as found'; else echo 'CHANGED: the behaviour is no longer the one found' >&2; exit 1; fi
