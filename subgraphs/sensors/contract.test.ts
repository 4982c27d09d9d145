import { describeVendorContract } from '../../adapter-kit/contract-suite.ts';
import { sensors } from './index.ts';

describeVendorContract(sensors, {
  maxReadCalls: 30,
  tellsBy: {
    webhooks: ({ nativeId }) => nativeId.startsWith('push/'),
    stream: ({ nativeId }) => nativeId.startsWith('broker/0x'),
  },
});
