import { describeVendorContract } from '../../adapter-kit/contract-suite.ts';
import { vendorCloud } from './index.ts';

describeVendorContract(vendorCloud);
describeVendorContract(vendorCloud, { settings: { perPage: 7 }, devices: 60, maxReadCalls: 20 });
