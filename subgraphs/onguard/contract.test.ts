import { describeVendorContract } from '../../adapter-kit/contract-suite.ts';
import { onGuard } from './index.ts';

// OnGuard has no call for several states: two calls for each panel, one for each reader and board, some for the lists.
describeVendorContract(onGuard, { maxReadCalls: 160 });
describeVendorContract(onGuard, {
  settings: { events: { transport: 'longPolling', durable: false } },
  devices: 60,
  maxReadCalls: 50,
});
