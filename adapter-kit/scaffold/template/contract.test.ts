import { describeVendorContract } from '../../../adapter-kit/contract-suite.ts';
import { acmeVms } from './index.ts';

describeVendorContract(acmeVms);
