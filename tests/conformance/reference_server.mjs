// The reference server of the Durable Streams protocol on loopback, until its standard input ends; says its URL.
// Arguments: port (0: any), and a folder for its files (without one it keeps all in memory).
import { DurableStreamTestServer } from "@durable-streams/server"

const [port, dataDir] = process.argv.slice(2)
const server = new DurableStreamTestServer({ port: Number(port), host: "127.0.0.1", dataDir })
console.log(await server.start())
process.stdin.resume()
process.stdin.on("end", () => process.exit(0))
