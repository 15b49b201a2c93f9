"""What people make for programs, as scripts use it: `requests` with a permanent token, and curl with an application password."""

import subprocess

import pytest
import requests
from conftest import PASSWORD


@pytest.fixture
def jane(gateway):
    """A script that knows jane's name and password."""
    session = requests.Session()
    session.trust_env = False
    session.verify = str(gateway.certificate)
    session.auth = ("jane", PASSWORD)
    return session


def test_a_permanent_token_from_its_making_to_its_end(gateway, upstream, jane):
    tokens = f"{gateway.issuer}/api/rest/users/me/permanenttokens"
    body = {"name": "nightly", "scope": [{"id": "tracker"}, {"id": "0-0-0-0-0"}]}
    made = jane.post(tokens, params={"fields": "id,name,token,scope(id,name)"}, json=body, timeout=30)
    assert made.status_code == 200, made.text
    token = made.json()["token"]
    assert token.startswith("perm:") and {"id", "name", "scope", "type", "token"} == made.json().keys()

    program = requests.Session()
    program.trust_env = False
    program.verify = str(gateway.certificate)
    program.headers["Authorization"] = f"Bearer {token}"
    assert program.get(f"{gateway.url}/tracker/x", timeout=30).status_code == 200
    seen = upstream.one()
    assert seen.header("x-forwarded-preferred-username") == "jane"
    assert seen.header("authorization") != f"Bearer {token}"
    assert program.get(f"{gateway.url}/robot/x", timeout=30).status_code == 403
    assert program.get(f"{gateway.issuer}/api/rest/users/me", timeout=30).json()["login"] == "jane"

    listed = jane.get(tokens, timeout=30).json()["permanenttokens"]
    assert [one["id"] for one in listed] == [made.json()["id"]] and "token" not in listed[0]
    assert jane.delete(f"{tokens}/{listed[0]['id']}", timeout=30).status_code == 200
    refused = program.get(f"{gateway.url}/tracker/x", timeout=30)
    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_token")
    assert token.rsplit(".", 1)[1] not in gateway.output()


def test_an_application_password_with_curl(gateway, upstream, jane):
    passwords = f"{gateway.issuer}/api/rest/users/me/applicationPasswords"
    made = jane.post(passwords, json={"name": "curl"}, timeout=30).json()

    def curl(user: str) -> str:
        command = ["curl", "-sS", "--noproxy", "*", "--cacert", str(gateway.certificate), "-o", "/dev/null"]
        command += ["-w", "%{http_code}", "-u", user, f"{gateway.url}/tracker/x"]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout

    assert curl(f"jane:{made['password']}") == "200"
    assert upstream.one().header("x-forwarded-preferred-username") == "jane"
    assert curl(f"bob:{made['password']}") == "401"
    assert curl(f"jane:{PASSWORD}") == "401"
    assert upstream.take() == []
    assert jane.delete(f"{passwords}/{made['id']}", timeout=30).status_code == 200
    assert curl(f"jane:{made['password']}") == "401"
    assert made["password"] not in gateway.output()
