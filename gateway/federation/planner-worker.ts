import { createPlanner, type Planner } from './planner.ts';
import type { PlannerReply, PlannerRequest } from './planner-process.ts';

// The process that `createPlannerProcess` starts. It holds one planner, knows no secret, and may die at any time.

let planner: Planner | null = null;

function reply(message: PlannerReply): void {
  process.send?.(message);
}

async function answer(request: PlannerRequest): Promise<void> {
  try {
    if (request.kind === 'load') {
      planner = createPlanner(request.text);
      reply({ id: request.id, plan: null });
      return;
    }
    if (planner === null) throw new Error('an operation came before the supergraph');
    reply({ id: request.id, plan: await planner.plan(request.text) });
  } catch (error) {
    reply({ id: request.id, error: error instanceof Error ? error.message : String(error) });
  }
}

// One after the other, so that it is known which one the process ended on.
let last = Promise.resolve();
process.on('message', (message: PlannerRequest) => {
  last = last.then(() => answer(message));
});
process.on('disconnect', () => process.exit());
