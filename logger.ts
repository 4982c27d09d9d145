import { type DestinationStream, type Logger, pino } from 'pino';

export type { Logger } from 'pino';

// Nothing below should ever be logged. The list is the second line of defence, for the day when somebody logs a whole object.
const SECRET_KEYS = [
  'authorization',
  'Authorization',
  'cookie',
  'token',
  'accessToken',
  'apiKey',
  'password',
  'secret',
  'webhookSecret',
  'webhookSecretOnce',
  'newSecretOnce',
  'clientSecret',
  'privateKey',
  'privateKeyPem',
  'credentials',
  'masterKey',
  'connectionParams',
  'body',
];

/** Deep enough for an error's cause and a request's headers; deeper objects have no place in a log. */
const SECRET_PATHS = SECRET_KEYS.flatMap((key) => [key, `*.${key}`, `*.*.${key}`, `*.*.*.${key}`]);

/**
 * Logs JSON lines to standard output.
 *
 * @param level least severe level that is written
 * @param destination where to, for tests
 */
export function createLogger(level: string, destination?: DestinationStream): Logger {
  const options = {
    level,
    base: null,
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label: string) => ({ level: label }) },
    redact: { paths: SECRET_PATHS, censor: '[redacted]' },
  };
  return destination === undefined ? pino(options) : pino(options, destination);
}
