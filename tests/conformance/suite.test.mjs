// The suite's own command finds no tests once it is installed under node_modules: so it is called from a file of ours.
// The variable is not BASE_URL, which vite sets to "/".
import { runConformanceTests } from "@durable-streams/server-conformance-tests"

runConformanceTests({ baseUrl: process.env.COLLECTOR_URL })
