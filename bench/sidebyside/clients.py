"""Clients that h2load cannot be, each in a process of its own: `python clients.py KIND PORT TOKEN COUNT …` prints its figures as JSON.

    full, resumed   COUNT connections one after the other, each with one request; resumed: each with the session of the one before
    sockets         COUNT messages of SIZE bytes there and back over each of MANY WebSockets
    idle1, idle2    COUNT connections over HTTP/1.1 or HTTP/2 that have asked once; they stay until standard input ends
    echo            no client: at PORT a server that accepts every WebSocket and answers each message with one of the same size
"""

import asyncio
import json
import os
import socket
import ssl
import struct
import sys
import time

KEY = b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"


def context(alpn):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    made.set_alpn_protocols([alpn])
    return made


def head(method_target, token, more=b""):
    bearer = b"Authorization: Bearer " + token.encode() + b"\r\n" if token else b""
    return method_target + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n" + bearer + more + b"\r\n"


def handshakes(port, token, count, resumed):
    client, session, reused = context("http/1.1"), None, 0
    request = head(b"GET /bench/100", token, b"Connection: close\r\n")
    began = time.perf_counter()
    for _ in range(count):
        with client.wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname="127.0.0.1", session=session) as peer:
            peer.sendall(request)
            got = b""
            while piece := peer.recv(65536):
                got += piece
            assert got.startswith(b"HTTP/1.1 200"), got[:200]
            reused += peer.session_reused
            if resumed:
                session = peer.session
    took = time.perf_counter() - began
    assert reused >= count - 1 if resumed else reused == 0, f"{reused} of {count} were resumed"
    return {"count": count, "seconds": took}


async def sockets(port, token, messages, size, many):
    frame = bytes([0x82, 0x80 | (size if size < 126 else 126)]) + (struct.pack(">H", size) if size >= 126 else b"") + b"\0\0\0\0" + b"m" * size
    answer = len(frame) - 4
    taken = []

    async def one():
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context("http/1.1"))
        writer.write(head(b"GET /bench/socket", token, b"Upgrade: websocket\r\nConnection: Upgrade\r\n" + KEY))
        got = await reader.readuntil(b"\r\n\r\n")
        assert got.startswith(b"HTTP/1.1 101"), got
        await ready.wait()
        for _ in range(messages):
            began = time.perf_counter()
            writer.write(frame)
            await reader.readexactly(answer)
            taken.append(time.perf_counter() - began)
        writer.close()

    ready = asyncio.Event()
    tasks = [asyncio.create_task(one()) for _ in range(many)]
    await asyncio.sleep(0.5)
    began = time.perf_counter()
    ready.set()
    await asyncio.gather(*tasks)
    took = time.perf_counter() - began
    taken.sort()
    return {"count": messages * many, "seconds": took, "p50": taken[len(taken) // 2], "p99": taken[len(taken) * 99 // 100]}


async def echo(port):
    async def serve(reader, writer):
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(SWITCH)
            while True:
                first = await reader.readexactly(2)
                size = first[1] & 127
                extended = await reader.readexactly(2) if size == 126 else b""
                size = struct.unpack(">H", extended)[0] if extended else size
                await reader.readexactly(4 + size)
                writer.write(bytes([first[0], first[1] & 127]) + extended + b"m" * size)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


def h2_frame(kind, flags, stream, payload):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def literal(name, value):
    length = bytes([len(value)]) if len(value) < 127 else b"\x7f" + (lambda n: bytes([n]) if n < 128 else bytes([n & 127 | 128, n >> 7]))(len(value) - 127)
    return b"\0" + bytes([len(name)]) + name + length + value


def idle(port, token, count, http2):
    client, held = context("h2" if http2 else "http/1.1"), []
    if http2:
        block = b"\x82\x87" + literal(b":path", b"/bench/100") + literal(b":authority", b"127.0.0.1")
        if token:
            block += literal(b"authorization", b"Bearer " + token.encode())
        request = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + h2_frame(4, 0, 0, b"") + h2_frame(1, 5, 1, block)
    else:
        request = head(b"GET /bench/100", token)
    for _ in range(count):
        peer = client.wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname="127.0.0.1")
        peer.sendall(request)
        # The whole answer: a hundred bytes behind its head, or a frame that ends the stream.
        got = b""
        while not (ended(got) if http2 else len(got.partition(b"\r\n\r\n")[2]) >= 100):
            piece = peer.recv(65536)
            assert piece, "closed"
            got += piece
        held.append(peer)
    print(json.dumps({"count": count}), flush=True)
    sys.stdin.read()
    # Whether they were really all there.
    gone = 0
    for peer in held:
        peer.setblocking(False)
        try:
            gone += peer.recv(65536) == b""
        except OSError:
            pass
    print(json.dumps({"gone": gone}), flush=True)


def ended(got):
    while len(got) >= 9:
        length, kind, flags = int.from_bytes(got[:3]), got[3], got[4]
        if kind == 0 and flags & 1:
            return len(got) >= 9 + length
        got = got[9 + length :]
    return False


def main():
    kind, port, token, count = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    if kind in ("full", "resumed"):
        print(json.dumps(handshakes(port, token, count, kind == "resumed")))
    elif kind == "sockets":
        print(json.dumps(asyncio.run(sockets(port, token, count, int(sys.argv[5]), int(sys.argv[6])))))
    elif kind == "echo":
        asyncio.run(echo(port))
    else:
        idle(port, token, count, kind == "idle2")
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
