import { z } from 'zod';

const Answer = z.object({
  data: z.unknown().optional(),
  errors: z.array(z.object({ message: z.string() })).optional(),
});

/** Calls the graph as any client would. @throws Error with the messages of every GraphQL error */
export function createGraphqlClient(url: string, token: string) {
  return async function call<T>(document: string, variables: unknown, data: z.ZodType<T>): Promise<T> {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      body: JSON.stringify({ query: document, variables }),
    });
    const answer = Answer.parse(await response.json());
    if (answer.errors !== undefined) throw new Error(answer.errors.map(({ message }) => message).join('; '));
    return data.parse(answer.data);
  };
}

export type GraphqlClient = ReturnType<typeof createGraphqlClient>;
