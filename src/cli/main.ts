/** `cr` as a module of its own, where there is no bundle (bin/cr). */
import { runToEnd } from "./run.js";

runToEnd(process.argv);
