import { describeVendorContract } from '../../adapter-kit/contract-suite.ts';
import { vxg } from './index.ts';

describeVendorContract(vxg, {
  // Pages smaller than the platform, so that the list has several; rounds short enough for a test to wait for.
  settings: { pageSize: 150, eventIntervalMs: 50 },
  exempt: {
    'unknown-words':
      'The service has no word for a kind of device. Unknown states are shown in adapter.test.ts and event-feed.test.ts.',
  },
});
