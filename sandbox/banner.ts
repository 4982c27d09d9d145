import type { SandboxCredentials } from './credentials.ts';

/** What to open, a token, and two commands to try at once. */
export function banner(
  { graphqlUrl, tokens, orgs, integrations }: SandboxCredentials,
  devices: number,
  credentialsFile: string,
): string {
  const envFile = credentialsFile.replace('credentials.json', 'env');
  const base = new URL('/', graphqlUrl).href;
  const [org] = orgs;
  const sites = orgs.reduce((count, { siteIds }) => count + siteIds.length, 0);
  return `
Convergraph sandbox: ${orgs.length} orgs, ${sites} sites, ${devices} devices on ${integrations.length} simulated platforms

  Playground    ${base}
  GraphQL       ${graphqlUrl}   (HTTP, SSE and WebSocket)
  Credentials   ${credentialsFile}
  Token of ${org?.name ?? 'an org'}:
  ${tokens[org?.key ?? 'admin'] ?? ''}

  Try:
  source ${envFile}
  curl -s $GRAPHQL_URL -H "authorization: Bearer $TOKEN" -H 'content-type: application/json' \\
    -d '{"query":"{ devices(first: 3) { totalCount nodes { name type status { state } site { name } } } }"}'

  Make something go wrong, in another terminal:
  npm run sandbox -- --scenario storm

Stop with Ctrl+C; it goes on from here at the next start. Start over with: npm run sandbox -- --reset
`;
}
