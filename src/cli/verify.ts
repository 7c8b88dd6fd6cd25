/** `holdpoint verify ID`: is the recording as it was written? */
import type { VerifyResult } from '../recordings/types.ts';
import { connect } from './client.ts';
import { type Cli, CommandError } from './context.ts';

export async function verify(cli: Cli, id: string): Promise<void> {
  const answer = await connect(cli).get<{ session: string; result: VerifyResult }>(
    `/sessions/${encodeURIComponent(id)}/verify`,
  );
  const { result } = answer;
  if (result.kind === 'broken') {
    throw new CommandError(
      `The recording of ${answer.session} is broken at event ${result.at} (${result.why}); keep its files as they are and tell security.`,
    );
  }
  cli.out(
    `${answer.session} is intact: ${result.events} events chained, ${result.signed} of them covered by a signature.`,
  );
}
