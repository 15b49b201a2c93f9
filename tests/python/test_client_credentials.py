"""Other people's clients obtain a token and call through the gate; what is refused reaches no upstream."""

import json
import subprocess
import time

import jwt
import pytest
import requests
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session as AuthlibSession
from conftest import SECRETS
from oauthlib.oauth2 import BackendApplicationClient, OAuth2Error
from requests_oauthlib import OAuth2Session

ROBOT = ("robot", SECRETS["robot"])


def ask(gateway, auth=ROBOT, **form):
    """A token request with nothing between the test and the wire but requests."""
    form.setdefault("grant_type", "client_credentials")
    return requests.post(gateway.token_url, data=form, auth=auth, verify=gateway.certificate, timeout=30)


def token(gateway, scope="tracker"):
    answer = ask(gateway, scope=scope)
    assert answer.status_code == 200, answer.text
    return answer.json()["access_token"]


def call(gateway, path, **arguments):
    arguments.setdefault("method", "GET")
    return requests.request(url=gateway.url + path, verify=gateway.certificate, timeout=30, **arguments)


def claims_of(gateway, text, audience):
    keys = jwt.PyJWKSet.from_dict(requests.get(gateway.keys_url, verify=gateway.certificate, timeout=30).json())
    header = jwt.get_unverified_header(text)
    assert header["typ"].lower() == "at+jwt"
    return jwt.decode(
        text,
        keys[header["kid"]],
        algorithms=["ES256"],
        audience=audience,
        issuer=f"{gateway.url}/hub",
        options={"require": ["exp", "iat", "iss", "sub", "aud", "jti"]},
    )


# --- the clients ---


@pytest.mark.parametrize("in_form", [False, True], ids=["basic", "form"])
def test_requests_oauthlib(gateway, upstream, in_form):
    session = OAuth2Session(client=BackendApplicationClient(client_id="robot", scope=["tracker"]))
    session.verify = str(gateway.certificate)
    credentials = {"include_client_id": True, "client_secret": SECRETS["robot"]} if in_form else {"auth": ROBOT}
    answer = session.fetch_token(gateway.token_url, timeout=30, **credentials)
    assert answer["token_type"] == "Bearer"
    assert answer["expires_in"] == 3600
    assert "refresh_token" not in answer

    response = session.post(f"{gateway.url}/tracker/api/issues?fields=id", json={"summary": "a"}, timeout=30)
    assert (response.status_code, response.text) == (200, "answered by the upstream")
    received = upstream.one()
    assert (received.method, received.target) == ("POST", "/tracker/api/issues?fields=id")
    assert json.loads(received.body) == {"summary": "a"}
    assert received.header("x-forwarded-client") == "robot"
    assert received.header("x-forwarded-scope") == "tracker"
    assert received.header("x-forwarded-user") is None


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
def test_authlib(gateway, upstream, method):
    session = AuthlibSession("robot", SECRETS["robot"], scope="tracker", token_endpoint_auth_method=method)
    session.verify = str(gateway.certificate)
    answer = session.fetch_token(gateway.token_url, grant_type="client_credentials", timeout=30)
    assert answer["scope"] == "tracker"
    assert session.get(f"{gateway.url}/tracker/", timeout=30).status_code == 200
    assert upstream.one().target == "/tracker/"


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
def test_curl(gateway, upstream, version):
    def curl(*arguments):
        command = ["curl", "--silent", "--show-error", "--fail-with-body", "--max-time", "10", version]
        command += ["--cacert", str(gateway.certificate), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout

    answer = curl(
        "--user", ":".join(ROBOT), "-d", "grant_type=client_credentials", "-d", "scope=tracker", gateway.token_url
    )
    bearer = json.loads(answer)["access_token"]
    told = curl("--header", f"Authorization: Bearer {bearer}", "--write-out", " over %{http_version}", f"{gateway.url}/tracker/a")
    assert told == f"answered by the upstream over {version.removeprefix('--http')}"
    assert upstream.one().target == "/tracker/a"


# --- the token ---


def test_the_token_is_verified_by_others(gateway):
    before = int(time.time())
    claims = claims_of(gateway, token(gateway), "tracker")
    assert (claims["sub"], claims["client_id"], claims["scope"]) == ("robot", "robot", "tracker")
    assert claims["aud"] == ["tracker"]
    assert before <= claims["iat"] <= time.time() + 1
    assert claims["exp"] - claims["iat"] == 3600


def test_a_scope_by_name_is_the_service(gateway, upstream):
    # A name with a blank is sent encoded once more, as Hub's own client library does.
    text = token(gateway, "Issue%20Tracker")
    assert claims_of(gateway, text, "tracker")["aud"] == ["tracker"]
    assert call(gateway, "/tracker/", headers={"Authorization": f"Bearer {text}"}).status_code == 200
    assert upstream.one().target == "/tracker/"


def test_the_upstream_gets_a_token_of_its_own(gateway, upstream):
    text = token(gateway, "tracker robot")
    assert call(gateway, "/tracker/", headers={"Authorization": f"Bearer {text}"}).status_code == 200
    scheme, scoped = upstream.one().header("authorization").split(" ")
    claims = claims_of(gateway, scoped, "tracker")
    assert scheme == "Bearer" and scoped != text
    assert (claims["aud"], claims["scope"], claims["sub"]) == (["tracker"], "tracker", "robot")
    # One backend cannot use what it got at another.
    assert call(gateway, "/robot/", headers={"Authorization": f"Bearer {scoped}"}).status_code in (401, 403)
    assert upstream.take() == []


def test_pass_hands_on_the_clients_own_token(gateway, upstream):
    bearer = f"Bearer {token(gateway, 'robot')}"
    assert call(gateway, "/robot/", headers={"Authorization": bearer}).status_code == 200
    assert upstream.one().header("authorization") == bearer


def test_forged_identity_is_dropped(gateway, upstream):
    forged = {
        "X-Forwarded-User": "admin",
        "x_forwarded_client": "admin",
        "X-Forwarded-Groups": "administrators",
        "X-Forwarded-For": "203.0.113.9",
        "Authorization": f"Bearer {token(gateway)}",
    }
    assert call(gateway, "/tracker/", headers=forged).status_code in (200, 400)
    for received in upstream.take():
        assert not [value for _, value in received.headers if "admin" in value or "203.0.113.9" in value]
        assert received.header("x-forwarded-client") == "robot"


# --- what is refused ---


@pytest.mark.parametrize(
    ("auth", "form", "status", "error"),
    [
        (("robot", "wrong-secret"), {"scope": "tracker"}, 401, "invalid_client"),
        (("nobody", "wrong-secret"), {"scope": "tracker"}, 401, "invalid_client"),
        (("untrusted", SECRETS["untrusted"]), {"scope": "tracker"}, 400, "unauthorized_client"),
        (ROBOT, {"scope": "unknown"}, 400, "invalid_scope"),
        (ROBOT, {"grant_type": "urn:example:other"}, 400, "unsupported_grant_type"),
        (ROBOT, {"grant_type": ""}, 400, "invalid_request"),
        (ROBOT, {"scope": ["tracker", "robot"]}, 400, "invalid_request"),
        (ROBOT, {"scope": "tracker", "client_id": "robot", "client_secret": "robot"}, 400, "invalid_request"),
    ],
    ids=[
        "wrong secret", "unknown client", "untrusted", "unknown scope", "other grant", "no grant", "scope twice", "two ways"
    ],
)  # fmt: skip
def test_token_refusals(gateway, auth, form, status, error):
    answer = ask(gateway, auth=auth, **form)
    assert (answer.status_code, answer.json()["error"]) == (status, error), answer.text
    assert "no-store" in answer.headers["cache-control"]
    assert ("www-authenticate" in answer.headers) == (status == 401)
    assert SECRETS["robot"] not in answer.text
    explained = requests.get(answer.json()["error_uri"], verify=gateway.certificate, timeout=30)
    assert explained.status_code == 200 and error in explained.text


def test_unknown_client_and_wrong_secret_look_alike(gateway):
    answers = [ask(gateway, auth=(name, "wrong-secret")).json() for name in ("robot", "nobody")]
    for answer in answers:
        answer.pop("request_id", None)
    assert answers[0] == answers[1]


def test_libraries_understand_a_refusal(gateway):
    session = OAuth2Session(client=BackendApplicationClient(client_id="robot", scope=["unknown"]))
    with pytest.raises(OAuth2Error) as refused:
        session.fetch_token(gateway.token_url, auth=ROBOT, verify=str(gateway.certificate), timeout=30)
    assert refused.value.error == "invalid_scope"

    session = AuthlibSession("robot", "wrong-secret", scope="tracker")
    session.verify = str(gateway.certificate)
    with pytest.raises(OAuthError) as refused:
        session.fetch_token(gateway.token_url, grant_type="client_credentials", timeout=30)
    assert refused.value.error == "invalid_client"


@pytest.mark.parametrize(
    ("path", "authorization", "status", "error", "challenge"),
    [
        ("/tracker/", None, 401, "unauthorized", 'Bearer realm="'),
        ("/tracker/", "Bearer not.a.token", 401, "invalid_token", 'error="invalid_token"'),
        ("/tracker/", "Bearer a, Bearer b", 400, "invalid_request", 'error="invalid_request"'),
        ("/robot/", "the tracker's", 403, "insufficient_scope", 'scope="robot"'),
        ("/tracker/", "altered", 401, "invalid_token", 'error="invalid_token"'),
        ("/nowhere", "the tracker's", 404, "not_found", None),
        ("/tracker/static/..%2fapi", "the tracker's", 400, "invalid_request", None),
    ],
    ids=["no token", "no JWT", "two tokens", "other scope", "altered", "no route", "ambiguous path"],
)
def test_gate_refusals(gateway, upstream, path, authorization, status, error, challenge):
    if authorization == "the tracker's":
        authorization = f"Bearer {token(gateway)}"
    elif authorization == "altered":
        head, body, signature = token(gateway).split(".")
        authorization = f"Bearer {head}.{body}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}"
    answer = call(gateway, path, headers={"Authorization": authorization} if authorization else {})
    body = answer.json()
    assert (answer.status_code, body["error"], body["status"]) == (status, error, status), answer.text
    assert body["request_id"] == answer.headers["x-request-id"]
    told = answer.headers.get("www-authenticate")
    if challenge is None:
        assert told is None
    else:
        assert challenge in told
        assert ("error=" in told) == (error != "unauthorized")
    assert upstream.take() == []


def test_a_public_path_needs_no_token(gateway, upstream):
    assert call(gateway, "/tracker/static/app.js").status_code == 200
    received = upstream.one()
    assert received.header("authorization") is None and received.header("x-forwarded-client") is None


# --- what is seen of it ---


def test_no_secret_and_no_token_is_logged(gateway):
    text = token(gateway)
    answer = call(gateway, "/tracker/logged", headers={"Authorization": f"Bearer {text}"})
    end = time.monotonic() + 5
    while "/tracker/logged" not in gateway.output() and time.monotonic() < end:
        time.sleep(0.05)
    log = gateway.output()
    assert "/tracker/logged" in log, "the access line is missing"
    assert answer.status_code == 200
    for secret in [text, text.split(".")[2], *SECRETS.values()]:
        assert secret not in log


def test_health_and_metrics(gateway):
    token(gateway)
    assert gateway.get_management("/healthz")[0] == 200
    assert gateway.get_management("/readyz")[0] == 200
    end = time.monotonic() + 5
    while "hubgate_tokens_issued_total{" not in gateway.get_management("/metrics")[1] and time.monotonic() < end:
        time.sleep(0.1)
    metrics = gateway.get_management("/metrics")[1]
    assert 'hubgate_tokens_issued_total{grant="client_credentials"}' in metrics
    assert "hubgate_requests_total{" in metrics
