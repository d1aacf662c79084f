// Run once by `npm ci`: loads what every process is made of, so that Node.js keeps it stripped of types and compiled, and
// the first mesh on a machine starts as fast as the second.
import '#agent';
import '#ca';
import '#cli';
import '#control';
import { loadDemo, loadMeshProcesses, loadProxy, loadRun, loadUp } from '#local';

await Promise.all([loadDemo(), loadMeshProcesses(), loadProxy(), loadRun(), loadUp()]);
