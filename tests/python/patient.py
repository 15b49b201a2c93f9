"""An upstream for measurements, in a process of its own: `python patient.py PORT`. What it does is said by the last part of the path.

    ok      100 bytes after 25 ms; 500 when the gateway has not said for whom the request is
    now     the same at once, for whomever
    drip    4 MiB in as many seconds
    flood   50 MiB as fast as they are taken
    hang    nothing, ever
    reset   half of an answer, then a reset
    trickle one byte each second
    stats   {"requests": …, "written": bytes of floods that were taken}
"""

import asyncio
import json
import random
import socket
import struct
import sys

DELAY = 0.025
DRIP = random.Random(2).randbytes(4 * 1024 * 1024)
FLOOD = bytes(64 * 1024)
FLOODS = 800
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
OK = HEAD % 100 + b"x" * 100


class Patient:
    def __init__(self) -> None:
        self.requests = 0
        self.written = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                self.requests += 1
                await self.answer(head, writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def answer(self, head: bytes, writer: asyncio.StreamWriter) -> None:
        what = head.split(b" ", 2)[1].split(b"?")[0].rsplit(b"/", 1)[1]
        if what == b"ok":
            await asyncio.sleep(DELAY)
            known = b"x-forwarded-client: robot" in head.lower()
            writer.write(OK if known else b"HTTP/1.1 500 Nobody\r\nContent-Length: 0\r\n\r\n")
        elif what == b"now":
            writer.write(OK)
        elif what == b"drip":
            writer.write(HEAD % len(DRIP))
            for at in range(0, len(DRIP), 64 * 1024):
                writer.write(DRIP[at : at + 64 * 1024])
                await writer.drain()
                await asyncio.sleep(1 / 16)
        elif what == b"flood":
            writer.transport.set_write_buffer_limits(64 * 1024)
            writer.write(HEAD % (len(FLOOD) * FLOODS))
            for _ in range(FLOODS):
                writer.write(FLOOD)
                await writer.drain()
                self.written += len(FLOOD)
        elif what == b"reset":
            writer.write(HEAD % 100 + b"half")
            await writer.drain()
            await asyncio.sleep(0.05)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            raise ConnectionResetError
        elif what == b"trickle":
            writer.write(HEAD % 100)
            for _ in range(100):
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(1)
        elif what == b"stats":
            body = json.dumps({"requests": self.requests, "written": self.written}).encode()
            writer.write(HEAD % len(body) + body)
        else:
            await asyncio.sleep(3600)


async def main() -> None:
    server = await asyncio.start_server(Patient().serve, "127.0.0.1", int(sys.argv[1]), backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
