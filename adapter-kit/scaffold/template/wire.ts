/**
 * What Acme VMS sends, in its own words. No other folder sees these names.
 *
 * @see (the platform's API reference, version and clause)
 */
import { z } from 'zod';

export const AcmeVmsMe = z.object({
  account: z.object({ id: z.string().min(1), name: z.string() }),
  version: z.string(),
});
export type AcmeVmsMe = z.infer<typeof AcmeVmsMe>;

export const AcmeVmsSite = z.object({
  id: z.string().min(1),
  account: z.string().min(1),
  label: z.string(),
  address: z.string().nullish(),
  timezone: z.string().nullish(),
});
export type AcmeVmsSite = z.infer<typeof AcmeVmsSite>;

export const AcmeVmsDevice = z.object({
  id: z.string().min(1),
  account: z.string().min(1),
  site: z.string().min(1),
  label: z.string(),
  // Open-ended on purpose: firmware adds words, and one new word must not cost us the device.
  kind: z.string(),
  state: z.string(),
  model: z.string().nullish(),
  mac: z.string().nullish(),
  /** Frames per second just now; null for what takes no pictures. */
  fps: z.number().nullish(),
});
export type AcmeVmsDevice = z.infer<typeof AcmeVmsDevice>;

export const AcmeVmsSites = z.object({ sites: z.array(AcmeVmsSite) });

/** Devices are parsed one by one, so that a record that cannot be read costs itself only. */
export const AcmeVmsDevicePage = z.object({
  devices: z.array(z.unknown()),
  /** Where the next page starts; null on the last one. */
  next: z.string().nullable(),
  total: z.int().nonnegative(),
});
export type AcmeVmsDevicePage = z.infer<typeof AcmeVmsDevicePage>;

export const AcmeVmsStateChanged = z.object({
  id: z.string().min(1),
  type: z.literal('device.state'),
  at: z.iso.datetime({ offset: true }),
  device: AcmeVmsDevice.pick({ id: true, account: true, site: true, label: true, state: true }),
});
export type AcmeVmsStateChanged = z.infer<typeof AcmeVmsStateChanged>;
