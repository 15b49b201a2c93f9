"""schemathesis holds the running gateway against its own OpenAPI document, as three kinds of callers.

It makes up requests, good ones and bad ones, chains them by what answers hold, and deletes what it finds, so each run has a
gateway of its own. Runs are bounded, begin with the same seed, and go on two at a time.
"""

import concurrent.futures
import dataclasses
import json
import os
import pathlib
import re
import subprocess
import sys

import pytest
import requests
from conftest import PASSWORD, Gateway, Upstream

CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_unless_silent",
    "response_headers_conformance",
    "response_schema_unless_silent",
    "unsupported_method",
    "allow_header_conformance",
    "ignored_auth",
]
# schemathesis takes any answer but 401 and 403 to a bad credential for a hole: the brake on guessing has its own tests.
LIMITS = """
login_failures = "off"
login_failures_per_source = "off"
login_failures_per_account = "off"
"""
PEOPLE = "^/(users|userdetails)"


@dataclasses.dataclass
class Run:
    """What schemathesis does in one run."""

    # Who asks; None: nobody.
    login: str | None
    phases: str
    # Requests that are made up for an operation, apart from those at the edges of what it takes.
    examples: int = 5
    # Further arguments.
    also: list[str] = dataclasses.field(default_factory=list)
    # Operations that have to have carried something out at least once.
    done: int = 0


RUNS = {
    "administrator, the edges of what users are": Run("root", "coverage", also=["--include-path-regex", PEOPLE], done=12),
    "administrator, the edges of all else": Run("root", "coverage", also=["--exclude-path-regex", PEOPLE], done=18),
    "administrator": Run("root", "fuzzing,stateful", done=20),
    "user": Run("jane", "fuzzing", examples=4, done=10),
    "nobody": Run(None, "fuzzing", examples=3, done=1),
}


@dataclasses.dataclass
class Ran:
    """How a run ended."""

    code: int
    output: str
    # Operations that have carried something out.
    done: list[str]
    # Operations of the document that the run was for, and those of them that are for everybody.
    operations: int
    open: list[str]
    # Whether the credential was good to the end: had it not been, the rest of the run would have shown nothing.
    still_known: bool
    gateway_lives: bool


def me(gateway, token: str) -> requests.Response:
    headers = {"Authorization": f"Bearer {token}"}
    return requests.get(f"{gateway.issuer}/api/rest/users/me", headers=headers, verify=gateway.certificate, timeout=30)


def permanent_token(gateway, login: str) -> str:
    """One for REST, which needs no service that the run may delete."""
    made = requests.post(
        f"{gateway.issuer}/api/rest/users/me/permanenttokens",
        json={"name": "schemathesis", "scope": [{"id": "0-0-0-0-0"}]},
        auth=(login, PASSWORD),
        verify=gateway.certificate,
        timeout=30,
    )
    assert made.status_code == 200, made.text
    return made.json()["token"]


def carry_out(run: Run, folder: pathlib.Path) -> Ran:
    upstream = Upstream()
    gateway = None
    try:
        gateway = Gateway(folder, upstream, LIMITS)
        return against(gateway, run)
    finally:
        if gateway:
            gateway.stop()
        upstream.close()


def against(gateway: Gateway, run: Run) -> Ran:
    document = f"{gateway.issuer}/api/rest/openapi.json"
    paths = requests.get(document, verify=gateway.certificate, timeout=30).json()["paths"]
    # schemathesis leaves out the address of the document itself.
    del paths["/openapi.json"]
    if run.also:
        wanted = run.also[0] == "--include-path-regex"
        paths = {path: methods for path, methods in paths.items() if bool(re.search(run.also[1], path)) == wanted}
    token = permanent_token(gateway, run.login) if run.login else None
    own_id = me(gateway, token).json()["id"] if token else ""
    command = [sys.executable, "-m", "schemathesis.cli", "run", document, "--tls-verify", str(gateway.certificate)]
    command += ["--checks", ",".join(CHECKS), "--phases", run.phases, "--max-examples", str(run.examples), *run.also]
    command += ["--seed", "20160919", "--generation-database", "none", "--no-shrink", "--continue-on-failure"]
    command += ["--no-color", "--warnings", "off", "--request-timeout", "10"]
    if token:
        command += ["--header", f"Authorization: Bearer {token}"]
    done = gateway.folder / "done.json"
    environment = os.environ | {
        "SCHEMATHESIS_HOOKS": "openapi_hooks",
        "HUBGATE_OWN_ID": own_id,
        "HUBGATE_DONE": str(done),
        "PYTHONPATH": str(pathlib.Path(__file__).parent),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    ran = subprocess.run(command, cwd=gateway.folder, env=environment, capture_output=True, text=True, timeout=300)
    return Ran(
        code=ran.returncode,
        output=ran.stdout[-20000:] + ran.stderr[-5000:],
        done=json.loads(done.read_text()),
        operations=sum(len(methods) for methods in paths.values()),
        open=sorted(
            f"{method.upper()} {path}"
            for path, methods in paths.items()
            for method, described in methods.items()
            if described["security"] == []
        ),
        still_known=not token or me(gateway, token).status_code == 200,
        gateway_lives=gateway.process.poll() is None,
    )


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        yield {
            name: pool.submit(carry_out, run, tmp_path_factory.mktemp("gateway")) for name, run in RUNS.items()
        }


@pytest.mark.parametrize("name", RUNS)
def test_what_the_document_says_holds(runs, name):
    run, ran = RUNS[name], runs[name].result(300)
    assert ran.gateway_lives and ran.code == 0, ran.output
    # All of it was tried, and enough of it as it is meant.
    assert f"Tested: {ran.operations}" in ran.output, ran.output
    generated = re.search(r"(\d+) generated", ran.output)
    assert generated and int(generated[1]) >= 3 * ran.operations, ran.output
    assert len(ran.done) >= run.done, ran.done
    if not run.login:
        assert ran.done == ran.open
    assert ran.still_known
