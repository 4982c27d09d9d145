import { writeFileSync } from 'node:fs';
import { deviceId } from '../storage/ids.ts';
import type { SandboxCredentials } from './credentials.ts';
import type { Platform } from './platforms.ts';

/** Everything in it is of our own making: ids, tokens and addresses without quotes. */
function line(name: string, value: string | null | undefined): string {
  return `${name}='${(value ?? '').replaceAll("'", '')}'\n`;
}

/**
 * What the examples of the documentation use, for `source .sandbox/env`: the first org, its first integration that takes
 * webhooks, and the first device there.
 */
export function writeShellVariables(
  file: string,
  { graphqlUrl, tokens, orgs, integrations }: SandboxCredentials,
  platforms: readonly Platform[],
): void {
  const [org] = orgs;
  const integration = integrations.find(({ webhookUrl }) => webhookUrl !== null) ?? integrations[0];
  const platform = platforms.find(({ simulator }) => simulator.url === integration?.simulatorUrl);
  const device = platform?.simulator.devices()[0];
  const text = [
    line('GRAPHQL_URL', graphqlUrl),
    line('TOKEN', tokens['admin']),
    line('ORG', org?.id),
    line('SITE', org?.siteIds[0]),
    line('INTEGRATION', integration?.id),
    line('WEBHOOK_URL', integration?.webhookUrl),
    line('WEBHOOK_SECRET', integration?.webhookSecret),
    line('PLATFORM_URL', integration?.simulatorUrl),
    line('DEVICE', integration === undefined || device === undefined ? '' : deviceId(integration.id, device.nativeId)),
    line('NATIVE_DEVICE', device?.nativeId),
    line('NATIVE_SITE', device?.siteId),
    line('NATIVE_ACCOUNT', device?.accountId),
  ];
  writeFileSync(file, text.join(''), { mode: 0o600 });
}
