import { describeVendorContract } from '../../adapter-kit/contract-suite.ts';
import { milestone } from './index.ts';

// Eight lists, four commands of the socket, its upgrade, and the names of event types: whatever the number of devices.
const MAX_READ_CALLS = 20;

describeVendorContract(milestone, { maxReadCalls: MAX_READ_CALLS });
describeVendorContract(milestone, { sites: 1, settings: { pageSize: 40 }, maxReadCalls: 60 });
