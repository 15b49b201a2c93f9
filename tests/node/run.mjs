// Starts a gateway, runs the tests named as arguments (default: all of them) against it, and ends it.
//
// Node reads NODE_EXTRA_CA_CERTS when it starts, and the gateway makes its certificate when it starts. Hence two processes.

import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";

import { start } from "./gateway.mjs";

const folder = import.meta.dirname;
const named = process.argv.slice(2);
const files = named.length > 0 ? named : readdirSync(folder).filter((name) => name.endsWith(".test.mjs"));

// What is not said to have passed has failed.
process.exitCode = 1;
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.once(signal, () => process.exit(1));
}
const gateway = await start();
// The upstream and the mail server live here, for all files: an error of theirs fails the test that met it, and no other.
process.on("uncaughtException", (error) => console.error("the upstream or the mail server:", error));
const child = spawn(
  process.execPath,
  // One file after another: they share one gateway and its last letter.
  ["--test", "--test-concurrency=1", "--test-reporter=spec", ...files],
  {
    cwd: folder,
    env: {
      ...process.env,
      NODE_EXTRA_CA_CERTS: gateway.certificate,
      GATEWAY_URL: gateway.url,
      GATEWAY_OUTPUT: gateway.output,
      GATEWAY_FOLDER: gateway.folder,
      PAGE_URL: gateway.page,
    },
    stdio: "inherit",
  },
);
const code = await new Promise((resolve) => child.once("exit", (code) => resolve(code ?? 1)));
const ended = await gateway.stop();
process.exitCode = code === 0 && ended === 0 ? 0 : 1;
