import { serveProcessing } from '../processing.ts';
import { memoryVendor } from './memory-platform.ts';

await serveProcessing([memoryVendor]);
