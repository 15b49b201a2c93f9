"""Other people's servers and tools: where they are, and how they are started in a folder of their own.

scripts/test unpacks Debian's packages into .cache/peers without installing them, so that no service is started on anybody's machine;
HUBGATE_PEERS names another folder, and what is on the PATH will do as well.
"""

import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time

from conftest import ROOT, free_ports

PEERS = pathlib.Path(os.environ.get("HUBGATE_PEERS") or ROOT / ".cache" / "peers").resolve()
FOLDERS = [PEERS / "usr/sbin", PEERS / "usr/bin", ROOT / ".cache/venv/bin", *map(pathlib.Path, os.get_exec_path()), pathlib.Path("/usr/sbin")]


def program(name: str) -> str | None:
    """Where it is, if it is there."""
    return shutil.which(name, path=os.pathsep.join(map(str, FOLDERS)))


def environment() -> dict[str, str]:
    libraries = [str(PEERS / "usr/lib"), *map(str, sorted((PEERS / "usr/lib").glob("*-linux-gnu*")))]
    return {**os.environ, "LD_LIBRARY_PATH": os.pathsep.join(libraries), "HOME": "/nonexistent"}


def run(name: str, *arguments: object, **more) -> subprocess.CompletedProcess:
    """Runs a tool to its end."""
    found = program(name)
    assert found, f"{name} is not there: scripts/test unpacks it into .cache/peers"
    return subprocess.run([found, *map(str, arguments)], env=environment(), capture_output=True, text=True, check=False, **more)


class Server:
    """A program that listens on a port of its own."""

    def __init__(self, folder: pathlib.Path, write) -> None:
        """`write(folder, port)` writes its configuration and returns its command line."""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        # Another process may take the free port first: then once more with another.
        for _ in range(3):
            (self.port,) = free_ports(1)
            name, *arguments = write(folder, self.port)
            found = program(name)
            assert found, f"{name} is not there: scripts/test unpacks it into .cache/peers"
            with (folder / "output").open("wb") as output:
                self.process = subprocess.Popen(
                    [found, *map(str, arguments)], cwd=folder, env=environment(), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                    start_new_session=True,
                )  # fmt: skip
            if self._listens():
                return
        raise AssertionError(f"{name} did not listen:\n{(folder / 'output').read_text(errors='replace')}")

    def _listens(self) -> bool:
        end = time.monotonic() + 20
        while time.monotonic() < end and self.process.poll() is None:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return True
            time.sleep(0.02)
        self.close()
        return False

    def close(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
        # A program that was started by a script, as Node by PyPI's, outlives that.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)


def nginx(folder: pathlib.Path, server: str, port_line: str) -> list[str]:
    """Writes a configuration around one `server` block and returns the command line: one process, which writes into the folder alone."""
    temporary = "\n".join(f"    {kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (folder / "nginx.conf").write_text(f"""\
master_process off;
daemon off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
{temporary}
    access_log off;
    types {{ text/html html; text/plain txt; application/octet-stream bin; text/css css; }}
    default_type application/octet-stream;
    server {{
{port_line}
{server}
    }}
}}
""")
    return ["nginx", "-e", f"{folder}/error.log", "-p", str(folder), "-c", str(folder / "nginx.conf")]
