// Starts a gateway, runs the tests named as arguments (default: all of them) against it, and ends it.
//
// Node reads NODE_EXTRA_CA_CERTS when it starts, and the gateway makes its certificate when it starts. Hence two processes.

import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";

import { start } from "./gateway.mjs";

const folder = import.meta.dirname;
const named = process.argv.slice(2);
const files = named.length > 0 ? named : readdirSync(folder).filter((name) => name.endsWith(".test.mjs"));

const gateway = await start();
const child = spawn(
  process.execPath,
  ["--test", "--test-reporter=spec", ...files],
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
