"""Clients by the thousand, in a process of their own: `python holders.py KIND PORT COUNT PATH`. Each connects over TLS and asks for the path once.

    idle1, idle2    over HTTP/1.1 or HTTP/2; they read the answer and stay
    slow            over HTTP/1.1; they never read it
    streams         over HTTP/2, a hundred streams each with as many header fields as are allowed, and no room for any answer

`ready` is printed when all are there; the end of standard input ends it.
"""

import selectors
import socket
import ssl
import struct
import sys
import time


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def literal(mark: int, name: bytes, value: bytes) -> bytes:
    """A header field with its name (RFC 7541, 6.2.1 and 6.2.2)."""

    def text(data: bytes) -> bytes:
        if len(data) < 127:
            return bytes([len(data)]) + data
        rest, out = len(data) - 127, b"\x7f"
        while rest > 127:
            out += bytes([rest & 127 | 128])
            rest >>= 7
        return out + bytes([rest]) + data

    return bytes([mark]) + text(name) + text(value)


def block(path: bytes, crumbs: int = 0, first: bool = False) -> bytes:
    """GET, with a cookie of 3,900 bytes put into the dynamic table once and named `crumbs` times."""
    fields = b"\x82\x87" + literal(0, b":path", path) + literal(0, b":authority", b"localhost")
    if crumbs:
        fields += literal(0x40, b"cookie", b"c" * 3900) if first else b""
        fields += b"\xbe" * crumbs
    return fields


HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def connected(port: int, alpn: str, small: bool) -> ssl.SSLSocket:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols([alpn])
    plain = socket.socket()
    if small:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    for attempt in range(5):
        try:
            plain.settimeout(20)
            plain.connect(("127.0.0.1", port))
            return context.wrap_socket(plain)
        except OSError:
            if attempt == 4:
                raise
            plain = socket.socket()
            time.sleep(0.5)
    raise AssertionError


def main() -> None:
    kind, port, count, path = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4].encode()
    held = []
    for _ in range(count):
        peer = connected(port, "http/1.1" if kind in ("idle1", "slow") else "h2", kind == "slow")
        if kind in ("idle1", "slow"):
            peer.sendall(b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
        elif kind == "idle2":
            peer.sendall(HELLO + frame(4, 0, 0, b"") + frame(1, 5, 1, block(path)))
        else:
            # SETTINGS_INITIAL_WINDOW_SIZE 0.
            frames = [frame(1, 5, 2 * n + 1, block(path, 3, n == 0)) for n in range(100)]
            peer.sendall(HELLO + frame(4, 0, 0, b"\0\4\0\0\0\0") + b"".join(frames))
        if kind.startswith("idle"):
            got = b""
            while b"x" * 100 not in got:
                piece = peer.recv(65536)
                assert piece, "closed"
                got += piece
        held.append(peer)
    print("ready", flush=True)
    # What the server says meanwhile is read by nobody; that it has closed is noticed at the end.
    sys.stdin.read()
    watch = selectors.DefaultSelector()
    gone = 0
    for peer in held:
        watch.register(peer, selectors.EVENT_READ)
        if watch.select(0):
            peer.settimeout(0.01)
            try:
                gone += peer.recv(1 << 20) == b""
            except OSError:
                pass
        watch.unregister(peer)
    print(gone, flush=True)


if __name__ == "__main__":
    main()
