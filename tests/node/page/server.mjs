// The site of other applications: pages on a port of their own, which the gateway knows as services.

import { build } from "esbuild";
import { readFile } from "node:fs/promises";
import https from "node:https";
import path from "node:path";

const BOARD = path.join(import.meta.dirname, "board.js");

const html = (gateway, body) =>
  `<!doctype html><html lang="en" data-gateway="${gateway}"><meta charset="utf-8"><title>Board</title>${body}</html>`;

// Serves with the gateway's certificate, which is one for this host; resolves with what was posted, and a way to end it.
export async function serve({ gateway, url, certificate }) {
  const bundle = await build({
    entryPoints: [BOARD],
    bundle: true,
    write: false,
    format: "iife",
    loader: { ".css": "empty" },
    define: { "process.env.NODE_ENV": '"production"' },
    logLevel: "error",
  });
  const posted = [];
  const key = path.join(path.dirname(certificate), "key.pem");
  const server = https.createServer({ cert: await readFile(certificate), key: await readFile(key) }, (request, response) => {
    const target = new URL(request.url, url);
    const page = (body) => response.setHeader("Content-Type", "text/html; charset=utf-8").end(html(gateway, body));
    if (target.pathname === "/board.js") {
      response.setHeader("Content-Type", "text/javascript").end(bundle.outputFiles[0].text);
    } else if (target.pathname === "/posted") {
      let body = "";
      request.on("data", (piece) => (body += piece)).on("end", () => {
        posted.push({ method: request.method, ...Object.fromEntries(new URLSearchParams(body)) });
        page("<h1>Arrived</h1>");
      });
    } else if (target.pathname === "/frame") {
      // Frames whatever it is told to, and writes down what it is told in return.
      page(`<script>window.told = []; addEventListener("message", ({ data, origin }) => told.push({ data, origin }));</script>
        <iframe src="${target.searchParams.get("of").replaceAll("&", "&amp;").replaceAll('"', "&quot;")}" width="500" height="600"></iframe>`);
    } else if (target.pathname === "/") {
      page('<h1>Board</h1><p id="user"></p><p id="backend"></p><p id="error"></p><script src="/board.js"></script>');
    } else {
      response.writeHead(404).end();
    }
  });
  await new Promise((resolve) => server.listen(Number(new URL(url).port), "127.0.0.1", resolve));
  const close = () => {
    server.close();
    server.closeAllConnections();
  };
  return { posted, close };
}
