"""What must be there before a run: programs, built binaries, a running upstream."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import urllib.request

from . import credentials
from .process import Failed, free_port, wait_for_port

PACKAGES = {"nginx": "nginx", "haproxy": "haproxy", "h2load": "nghttp2-client", "openssl": "openssl"}
POLICY = pathlib.Path("/usr/sbin/policy-rc.d")


def install(needed, allowed):
    """Debian's packages of what is missing, without starting their services."""
    packages = sorted({PACKAGES[program] for program in needed if not shutil.which(program)})
    if not packages:
        return
    command = ["apt-get", "install", "--yes", "--no-install-recommends", *packages]
    if not allowed or os.getuid() != 0 or not shutil.which("apt-get"):
        sys.exit(f"Missing programs. As root: {' '.join(command)}")
    print(f"installing {', '.join(packages)}", file=sys.stderr)
    quiet = not POLICY.exists()
    if quiet:
        # Debian starts a server when it installs it; this file is its way to say no.
        POLICY.write_text("#!/bin/sh\nexit 101\n")
        POLICY.chmod(0o755)
    try:
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for step in (["apt-get", "update", "--quiet"], command):
            subprocess.run(step, env=environment, stdout=sys.stderr, check=True)
    finally:
        if quiet:
            POLICY.unlink()


def cargo(manifest, *options):
    """Builds in release mode; the executables by name, from cargo's own messages."""
    done = subprocess.run(
        ["cargo", "build", "--release", "--manifest-path", str(manifest),
         "--message-format=json-render-diagnostics", *options],
        cwd=manifest.parent, stdout=subprocess.PIPE, text=True, check=False,
    )
    if done.returncode != 0:
        raise Failed(f"cargo build of {manifest.parent.name} failed")
    messages = (json.loads(line) for line in done.stdout.splitlines() if line.startswith("{"))
    return {message["target"]["name"]: pathlib.Path(message["executable"])
            for message in messages if message.get("executable")}


class Bench:
    """What all rows share."""

    def __init__(self, home, processes, work, proxy_core, load_core):
        self.home, self.processes, self.work = home, processes, work
        self.proxy_core, self.load_core = proxy_core, load_core
        cache = home / ".cache"
        self.certificate, self.key, self.both = credentials.certificate(cache)
        print("building the peers", file=sys.stderr)
        self.peers = cargo(home / "peers" / "Cargo.toml", "--locked", "--target-dir", str(home / "target"))
        self.built = None
        self.upstream_port = free_port()
        log = work / "upstream"
        self.upstream = processes.start([str(self.peers["upstream"]), f"127.0.0.1:{self.upstream_port}"], load_core, log)
        wait_for_port(self.upstream, self.upstream_port, log)

    def hubgate(self):
        """The repository's own binary, built once."""
        if self.built is None:
            print("building hubgate", file=sys.stderr)
            found = cargo(self.home.parent / "Cargo.toml", "--locked", "--bin", "hubgate")
            self.built = found["hubgate"]
        return self.built

    def served(self):
        """How many requests the upstream has answered."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://127.0.0.1:{self.upstream_port}/requests", timeout=10) as answer:
            return int(answer.read())


def versions(home, rows):
    """Of what was compared."""
    def first_line(*argv):
        try:
            done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=home)
            return ((done.stdout or done.stderr).strip().splitlines() or ["unknown"])[0]
        except OSError:
            return "unknown"

    found = {"h2load": first_line("h2load", "--version")}
    if any(name.startswith("nginx") for name in rows):
        found["nginx"] = first_line("nginx", "-v").removeprefix("nginx version: ")
    if any(name.startswith("haproxy") for name in rows):
        found["haproxy"] = first_line("haproxy", "-v").partition(" - ")[0]
    found["revision"] = first_line("git", "describe", "--always", "--dirty")
    return found
