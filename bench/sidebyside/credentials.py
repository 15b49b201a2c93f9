"""The certificate of all rows and the tokens of the rows that check one; made by openssl, kept in .cache."""

import base64
import hashlib
import hmac
import json
import os
import secrets
import subprocess
import time

OTHER_TOKENS = 1000


def openssl(*arguments, data=None):
    return subprocess.run(["openssl", *map(str, arguments)], input=data, capture_output=True, check=True).stdout


def certificate(cache):
    """Self-signed, ECDSA P-256, for 127.0.0.1: (certificate, key, both in one file)."""
    chain, key, both = cache / "certificate.pem", cache / "key.pem", cache / "both.pem"
    fresh = chain.exists() and subprocess.run(
        ["openssl", "x509", "-in", str(chain), "-noout", "-checkend", "86400"], capture_output=True, check=False
    ).returncode == 0
    if not fresh:
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-sha256",
                "-days", "30", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost",
                "-keyout", key, "-out", chain)
        key.chmod(0o600)
    both.write_bytes(chain.read_bytes() + key.read_bytes())
    both.chmod(0o600)
    return chain, key, both


def encoded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


class Jwt:
    """A key of one algorithm, and a token signed with it."""

    def __init__(self, algorithm, directory):
        self.algorithm = algorithm
        self.private = directory / f"{algorithm}.pem"
        self.public = directory / f"{algorithm}.pub.pem"
        if algorithm == "HS256":
            self.secret = secrets.token_hex(32)
        else:
            kind = {"RS256": ("RSA", "rsa_keygen_bits:2048"), "ES256": ("EC", "ec_paramgen_curve:P-256")}[algorithm]
            openssl("genpkey", "-algorithm", kind[0], "-pkeyopt", kind[1], "-out", self.private)
            openssl("pkey", "-in", self.private, "-pubout", "-out", self.public)
        os.chmod(directory, 0o755)
        self.token = self.mint()

    def mint(self):
        now = int(time.time())
        claims = {"iss": "https://127.0.0.1/hub", "sub": "bench", "aud": ["bench"], "client_id": "bench",
                  "scope": "bench", "jti": secrets.token_hex(16), "iat": now, "exp": now + 24 * 3600}
        head = {"typ": "at+jwt", "alg": self.algorithm, "kid": "bench-1"}
        parts = [encoded(json.dumps(part, separators=(",", ":")).encode()) for part in (head, claims)]
        signed = b".".join(parts)
        return (signed + b"." + encoded(self.signature(signed))).decode()

    def signature(self, signed):
        if self.algorithm == "HS256":
            return hmac.digest(self.secret.encode(), signed, "sha256")
        made = openssl("dgst", "-sha256", "-sign", self.private, data=signed)
        return fixed_width(made) if self.algorithm == "ES256" else made


def fixed_width(der):
    """An ECDSA signature as JWS wants it (RFC 7518, 3.4): r and s of 32 bytes each, instead of DER."""
    numbers, at = [], 2
    for _ in range(2):
        length = der[at + 1]
        numbers.append(int.from_bytes(der[at + 2 : at + 2 + length], "big").to_bytes(32, "big"))
        at += 2 + length
    return b"".join(numbers)


def token_map(file):
    """A file of SHA-256 token hashes as HAProxy's `hex` writes them, and one token that is in it."""
    tokens = [secrets.token_urlsafe(32) for _ in range(OTHER_TOKENS + 1)]
    lines = [f"{hashlib.sha256(token.encode()).hexdigest().upper()} client-{n}\n" for n, token in enumerate(tokens)]
    file.write_text("".join(lines), encoding="ascii")
    return tokens[OTHER_TOKENS // 2]
