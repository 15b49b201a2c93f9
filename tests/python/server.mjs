// A server of Node's own: files, hashes of what is uploaded, events and compressed answers. `node server.mjs PORT H2PORT FOLDER` speaks
// HTTP/1.1 at the one port and HTTP/2 without TLS at the other.
import { createHash } from 'node:crypto';
import { createReadStream, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createServer2 } from 'node:http2';
import { join, normalize } from 'node:path';
import { gzipSync } from 'node:zlib';

const [port, port2, folder] = process.argv.slice(2);

function file(request, response, path) {
  let found;
  try {
    found = statSync(join(folder, normalize(path)));
  } catch {
    response.writeHead(404, { 'content-type': 'text/html' });
    return response.end('<h1>404, says Node</h1>');
  }
  const tag = `"${found.mtimeMs}-${found.size}"`;
  const headers = { etag: tag, 'accept-ranges': 'bytes', 'last-modified': found.mtime.toUTCString() };
  if (request.headers['if-none-match'] === tag) {
    response.writeHead(304, headers);
    return response.end();
  }
  const range = /^bytes=([0-9]+)-([0-9]+)$/.exec(request.headers.range ?? '');
  const [start, end] = range ? [Number(range[1]), Math.min(Number(range[2]), found.size - 1)] : [0, found.size - 1];
  if (start >= found.size) {
    response.writeHead(416, { 'content-range': `bytes */${found.size}` });
    return response.end();
  }
  headers['content-length'] = end - start + 1;
  if (range) headers['content-range'] = `bytes ${start}-${end}/${found.size}`;
  if (path.endsWith('.txt') && /gzip/.test(request.headers['accept-encoding'] ?? '')) {
    const small = gzipSync('squeeze me '.repeat(1000));
    response.writeHead(200, { 'content-encoding': 'gzip', 'content-length': small.length, vary: 'accept-encoding' });
    return response.end(request.method === 'HEAD' ? undefined : small);
  }
  response.writeHead(range ? 206 : 200, headers);
  if (request.method === 'HEAD') return response.end();
  return createReadStream(join(folder, normalize(path)), { start, end }).pipe(response);
}

function events(request, response) {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
  let number = 0;
  const send = () => response.write(`id: ${number}\ndata: event ${number++}\n\n`);
  send();
  const timer = setInterval(send, 200);
  response.on('close', () => clearInterval(timer));
}

function answer(request, response) {
  const path = request.url.split('?')[0];
  if (path.endsWith('/events')) return events(request, response);
  if (!path.endsWith('/hash')) return file(request, response, path);
  const hash = createHash('sha256');
  let length = 0;
  request.on('data', (piece) => {
    hash.update(piece);
    length += piece.length;
  });
  return request.on('end', () => {
    const body = JSON.stringify({ sha256: hash.digest('hex'), length, method: request.method, headers: request.headers });
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) });
    response.end(body);
  });
}

createServer(answer).listen(Number(port), '127.0.0.1');
createServer2(answer).listen(Number(port2), '127.0.0.1');
