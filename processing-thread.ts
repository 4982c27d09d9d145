import { serveProcessing } from './processing.ts';
import { vendors } from './subgraphs/index.ts';

// What `npm start` and the sandbox run beside their main thread.
await serveProcessing(vendors);
