// A gateway as its users run it: the built program in a folder of its own, an upstream that answers with what it received,
// and the addresses of both.
//
// The program is target/release/hubgate or target/debug/hubgate, whichever is newer, or what HUBGATE_BINARY names.

import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, openSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import http from "node:http";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { setTimeout as wait } from "node:timers/promises";

const ROOT = path.resolve(import.meta.dirname, "../..");

export const SECRET = "app-secret-0123456789";
export const PASSWORD = "correct horse battery";

const configuration = ({ https, management, upstream, page, mail }) => `
public_url = "https://localhost:${https}"
data_dir = "data"

[listen]
https = ["127.0.0.1:${https}"]
management = "127.0.0.1:${management}"
workers = 1

[limits]
rejections_per_source = "off"
drain_timeout = "5s"

[mail]
from = "gate@example.org"
host = "127.0.0.1"
port = ${mail}
tls = "none"

[[service]]
id = "app"
name = "The App"
secret = "${SECRET}"
trusted = true
consent_required = false
home_url = "https://app.example/"
redirect_uris = ["https://app.example/cb"]

[[service]]
id = "phone"
name = "Phone"
public = true
consent_required = false
redirect_uris = ["http://127.0.0.1/cb"]

[[service]]
id = "page"
name = "Board"
public = true
consent_required = true
flows = ["implicit", "authorization_code"]
home_url = "https://localhost:${page}/"
redirect_uris = ["https://localhost:${page}/"]

[[service]]
id = "posted"
name = "Posted"
secret = "${SECRET}"
consent_required = false
home_url = "https://localhost:${page}/"
redirect_uris = ["https://localhost:${page}/posted"]

[[service]]
id = "tracker"
name = "Issue Tracker"
secret = "${SECRET}"

[[user]]
login = "jane"
name = "Jane Doe"
email = "jane@example.org"
password = "${PASSWORD}"
groups = ["developers"]

[[upstream]]
service = "tracker"
path = "/tracker"
to = ["http://127.0.0.1:${upstream}"]

  # What browsers ask before they send a token from a page of another origin; the service answers it.
  [[upstream.rule]]
  path = "/tracker/**"
  methods = ["OPTIONS"]
  access = "public"

  [[upstream.rule]]
  path = "/tracker/admin/**"
  methods = ["POST", "DELETE"]
  groups = ["developers"]

[[upstream]]
service = "tracker"
path = "/app"
to = ["http://127.0.0.1:${upstream}"]

  # People who are signed in need no token here.
  [[upstream.rule]]
  path = "/app/**"
  access = "browser"
`;

function binary() {
  if (process.env.HUBGATE_BINARY) {
    return path.resolve(process.env.HUBGATE_BINARY);
  }
  const built = ["debug", "release"].map((kind) => path.join(ROOT, "target", kind, "hubgate")).filter(existsSync);
  if (built.length === 0) {
    throw new Error("there is no target/debug/hubgate: run `cargo build` first");
  }
  return built.reduce((one, other) => (statSync(one).mtimeMs > statSync(other).mtimeMs ? one : other));
}

// Ports that are free now, below those that systems choose by themselves: no connection and no other server takes one before
// it is used.
async function freePorts(count) {
  const ports = [];
  for (let port = 10_000 + ((process.pid * 8) % 22_000); ports.length < count; port += 1) {
    const free = await new Promise((resolve) => {
      const server = net.createServer().once("error", () => resolve(false));
      server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
    });
    if (free) {
      ports.push(port);
    }
  }
  return ports;
}

async function startUpstream() {
  // By the number of a page: called when its style is asked for.
  const styled = new Map();
  const server = http.createServer((request, response) => {
    const { method, url, headers } = request;
    const [, asked, number] = url.match(/^\/app\/(hinted|style\.css)\?(\d+)$/) ?? [];
    if (asked === "hinted") {
      // The page waits for what its hint has the browser fetch, and says which came first.
      const style = `/app/style.css?${number}`;
      const answer = (first) => {
        clearTimeout(late);
        styled.delete(number);
        response.writeHead(200, { "Content-Type": "text/html" });
        response.end(`<!doctype html><title>App</title><link rel="stylesheet" href="${style}"><p id="first">${first}</p>`);
      };
      const late = setTimeout(answer, 3000, "page");
      styled.set(number, () => answer("style"));
      // Chromium 156 loses a hint that comes before it has begun to wait for an answer.
      setTimeout(() => {
        if (!response.headersSent && !response.destroyed) {
          response.writeEarlyHints({ link: `<${style}>; rel=preload; as=style` });
        }
      }, 250);
      return;
    }
    if (asked === "style.css") {
      response.writeHead(200, { "Content-Type": "text/css", "Cache-Control": "max-age=60" });
      response.end("#first { color: rgb(1, 2, 3) }");
      styled.get(number)?.();
      return;
    }
    if (url === "/app/events") {
      response.writeHead(200, { "Content-Type": "text/event-stream" });
      response.write(`data: ${headers["x-forwarded-preferred-username"]}\n\n`);
      const beat = setInterval(() => response.write("data: beat\n\n"), 200);
      response.on("close", () => clearInterval(beat));
      return;
    }
    if (url.startsWith("/app/page")) {
      response.writeHead(200, { "Content-Type": "text/html" });
      response.end(`<!doctype html><title>App</title><p id="who">${headers["x-forwarded-preferred-username"]}</p>`);
      return;
    }
    response.setHeader("Access-Control-Allow-Origin", "*");
    response.setHeader("Access-Control-Allow-Headers", "authorization");
    request.resume().on("end", () => {
      response.setHeader("Content-Type", "application/json");
      response.end(JSON.stringify({ method, url, headers }));
    });
  });
  server.on("upgrade", talk);
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}

// A WebSocket that says who is there, and then whatever short text it is told.
function talk(request, socket) {
  const key = `${request.headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
  const accept = createHash("sha1").update(key).digest("base64");
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
  );
  const say = (text) => socket.write(Buffer.concat([Buffer.from([0x81, text.length]), Buffer.from(text)]));
  say(`${request.headers["x-forwarded-preferred-username"]}`);
  let bytes = Buffer.alloc(0);
  socket.on("data", (piece) => {
    bytes = Buffer.concat([bytes, piece]);
    // Short masked frames alone, which is what the tests send.
    while (bytes.length >= 6 && bytes.length >= 6 + (bytes[1] & 0x7f)) {
      const length = bytes[1] & 0x7f;
      const payload = bytes.subarray(6, 6 + length).map((byte, at) => byte ^ bytes[2 + (at % 4)]);
      if ((bytes[0] & 0x0f) === 8) {
        socket.end(Buffer.concat([Buffer.from([0x88, length]), payload]));
        return;
      }
      say(payload.toString());
      bytes = bytes.subarray(6 + length);
    }
  });
  socket.on("error", () => {});
}

// A mail server that writes every letter to a file; see `lastLetter`.
async function startMail(file) {
  const server = net.createServer((socket) => {
    let text = "";
    let letter;
    socket.setEncoding("utf8").on("error", () => {});
    socket.write("220 mail\r\n");
    socket.on("data", (data) => {
      text += data;
      for (let end; (end = text.indexOf("\r\n")) >= 0; text = text.slice(end + 2)) {
        const line = text.slice(0, end);
        if (letter !== undefined && line !== ".") {
          letter += `${line}\n`;
        } else if (letter !== undefined) {
          // Whole or not at all for whoever reads it.
          writeFileSync(`${file}.new`, letter);
          renameSync(`${file}.new`, file);
          letter = undefined;
          socket.write("250 kept\r\n");
        } else if (line === "DATA") {
          letter = "";
          socket.write("354 go on\r\n");
        } else {
          socket.write(line === "QUIT" ? "221 bye\r\n" : "250 ok\r\n");
        }
      }
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}

// The link that opens something in the letter that came last, once one has come that says this.
export async function lastLink(heading) {
  const file = path.join(process.env.GATEWAY_FOLDER, "letter");
  for (let end = Date.now() + 30_000; Date.now() < end; await wait(50)) {
    // Long lines come as quoted-printable (RFC 2045 section 6.7).
    const written = existsSync(file) ? readFileSync(file, "utf8") : "";
    const letter = /quoted-printable/.test(written) ? written.replaceAll("=\n", "").replaceAll("=3D", "=") : written;
    const link = letter.match(/^https:.*token=.*$/m)?.[0];
    if (link && letter.includes(heading)) {
      return link;
    }
  }
  throw new Error(`no letter says ${heading}`);
}

// Ours overrides the configuration, which nobody means here.
const environment = () =>
  Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("HUBGATE_")));

// Carries out a command about the gateway that the tests run against; its input is the password.
export function command(...line) {
  return commandIn(process.env.GATEWAY_FOLDER, line);
}

function commandIn(folder, line) {
  const done = spawnSync(binary(), [...line, "--config", "gateway.toml"], {
    cwd: folder,
    env: environment(),
    input: `${PASSWORD}\n`,
    encoding: "utf8",
  });
  if (done.status !== 0) {
    throw new Error(`${line.join(" ")}: ${done.stderr}`);
  }
  return done.stdout;
}

// Starts both; resolves with their addresses and a way to end them.
export async function start() {
  const folder = await mkdtemp(path.join(os.tmpdir(), "hubgate-node-"));
  const upstream = await startUpstream();
  const mail = await startMail(path.join(folder, "letter"));
  const [https, management, page] = await freePorts(3);
  const text = configuration({ https, management, upstream: upstream.address().port, page, mail: mail.address().port });
  await writeFile(path.join(folder, "gateway.toml"), text);
  const output = path.join(folder, "output");
  const file = openSync(output, "w");
  const child = spawn(binary(), ["serve", "--config", "gateway.toml"], {
    cwd: folder,
    env: environment(),
    stdio: ["ignore", file, file],
  });
  // Whatever ends this process ends the gateway.
  process.once("exit", () => child.kill("SIGKILL"));
  const ended = new Promise((resolve) => child.once("exit", (code, sign) => resolve(code ?? sign)));
  const said = () => readFileSync(output, "utf8");

  const stop = async () => {
    child.kill("SIGTERM");
    const code = await Promise.race([ended, wait(15_000, "still running", { ref: false })]);
    if (code === "still running") {
      child.kill("SIGKILL");
    }
    mail.close();
    mail.unref();
    upstream.close();
    upstream.closeAllConnections();
    if (code !== 0) {
      console.error(`the gateway ended with ${code}:\n${said()}`);
    }
    await rm(folder, { recursive: true, force: true });
    return code;
  };

  const ready = async () => {
    for (let end = Date.now() + 30_000; Date.now() < end && child.exitCode === null; ) {
      const answer = await fetch(`http://127.0.0.1:${management}/readyz`).catch(() => undefined);
      if (answer?.status === 200) {
        return true;
      }
      await wait(50);
    }
    return false;
  };
  if (!(await ready())) {
    console.error(said());
    await stop();
    throw new Error("the gateway did not become ready");
  }
  // The first start has made an administrator with a password for one sign-in; this one has a password to keep.
  try {
    commandIn(folder, ["user", "add", "root", "--name", "Root", "--administrator", "--password-file", "-"]);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    url: `https://localhost:${https}`,
    page: `https://localhost:${page}`,
    certificate: path.join(folder, "data", "tls", "certificate.pem"),
    output,
    folder,
    stop,
  };
}
