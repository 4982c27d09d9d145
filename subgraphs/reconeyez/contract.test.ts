import { describeVendorContract } from '../../adapter-kit/contract-suite.ts';
import { reconeyez } from './index.ts';

describeVendorContract(reconeyez, {
  exempt: { 'live-state': 'the control API says nothing about how a device is: its events do' },
});
