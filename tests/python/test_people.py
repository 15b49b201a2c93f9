"""Other people's clients act for a person: every flow that needs one, from the request to the call through the gate."""

import time

import pytest
import requests
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session as AuthlibSession
from conftest import PASSWORD, SECRETS
from oauthlib.oauth2 import (
    AccessDeniedError,
    InvalidGrantError,
    InvalidScopeError,
    LegacyApplicationClient,
    MismatchingStateError,
    MobileApplicationClient,
    OAuth2Error,
)
from person import Person, parameters_of
from requests_oauthlib import OAuth2Session

APP = ("app", SECRETS["app"])
CB = "https://app.example/cb"


def client(gateway, client_id="app", scope="tracker", **arguments):
    """requests-oauthlib's session."""
    session = OAuth2Session(client_id, redirect_uri=CB, scope=scope.split(), **arguments)
    session.verify = str(gateway.certificate)
    return session


def authlib(gateway, client_id="app", scope="tracker", **arguments):
    """Authlib's session."""
    session = AuthlibSession(client_id, SECRETS["app"], scope=scope, redirect_uri=CB, **arguments)
    session.verify = str(gateway.certificate)
    return session


def assert_acts_for(session, gateway, upstream, login="jane", by="app"):
    """The session's token opens the tracker in the name of this person."""
    assert session.get(f"{gateway.url}/tracker/a", timeout=30).status_code == 200
    received = upstream.one()
    assert received.header("x-forwarded-preferred-username") == login
    # Named by something that never changes, and never by what another person could be called tomorrow.
    assert received.header("x-forwarded-user") not in (None, login)
    assert received.header("x-forwarded-client") == by


def opens(gateway, token):
    """Whether the gate lets a token through, asked with nothing between the test and the wire but requests."""
    headers = {"Authorization": f"Bearer {token}"}
    answer = requests.get(f"{gateway.url}/tracker/", headers=headers, verify=gateway.certificate, timeout=30)
    assert answer.status_code in (200, 401), answer.text
    return answer.status_code == 200


# --- requests-oauthlib ---


@pytest.mark.parametrize("pkce", [None, "S256"])
def test_code(gateway, upstream, pkce):
    session = client(gateway, pkce=pkce)
    url, state = session.authorization_url(gateway.authorization_url, access_type="offline")
    location = Person(gateway).go(url)
    assert location.startswith(f"{CB}?code=") and parameters_of(location)["state"] == state
    assert parameters_of(location)["iss"] == gateway.issuer
    answer = session.fetch_token(gateway.token_url, authorization_response=location, auth=APP, timeout=30)
    assert (answer["token_type"], answer["expires_in"], answer["scope"]) == ("Bearer", 3600, ["tracker"])
    assert_acts_for(session, gateway, upstream)

    again = session.refresh_token(gateway.token_url, auth=APP, timeout=30)
    assert again["access_token"] != answer["access_token"]
    assert again["refresh_token"] != answer["refresh_token"]
    assert_acts_for(session, gateway, upstream)


def test_code_of_a_public_client(gateway, upstream, monkeypatch):
    # RFC 8252 section 7.3: an application on the person's own machine listens on whatever port is free.
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    session = OAuth2Session("phone", redirect_uri="http://127.0.0.1:50123/cb", scope=["tracker"], pkce="S256")
    session.verify = str(gateway.certificate)
    url, _ = session.authorization_url(gateway.authorization_url, access_type="offline")
    location = Person(gateway).go(url)
    session.fetch_token(gateway.token_url, authorization_response=location, include_client_id=True, timeout=30)
    assert_acts_for(session, gateway, upstream, by="phone")
    session.refresh_token(gateway.token_url, client_id="phone", timeout=30)
    assert_acts_for(session, gateway, upstream, by="phone")


def test_online_access_has_no_refresh_token(gateway):
    session = client(gateway)
    url, _ = session.authorization_url(gateway.authorization_url)
    answer = session.fetch_token(gateway.token_url, authorization_response=Person(gateway).go(url), auth=APP, timeout=30)
    assert "refresh_token" not in answer


def test_refresh_on_its_own(gateway, upstream):
    kept = []
    secret = {"client_id": "app", "client_secret": SECRETS["app"]}
    session = client(
        gateway, auto_refresh_url=gateway.token_url, auto_refresh_kwargs=secret, token_updater=kept.append
    )
    url, _ = session.authorization_url(gateway.authorization_url, access_type="offline")
    session.fetch_token(gateway.token_url, authorization_response=Person(gateway).go(url), auth=APP, timeout=30)
    session.token = session.token | {"expires_at": time.time() - 1}
    assert_acts_for(session, gateway, upstream)
    assert len(kept) == 1


def test_implicit(gateway, upstream):
    session = client(gateway, client=MobileApplicationClient("app"), scope="tracker 0-0-0-0-0")
    url, _ = session.authorization_url(gateway.authorization_url, request_credentials="default")
    location = Person(gateway).go(url)
    answer = session.token_from_fragment(location)
    assert location.startswith(f"{CB}#access_token=") and answer["scope"] == ["tracker", "0-0-0-0-0"]
    assert "refresh_token" not in answer
    assert_acts_for(session, gateway, upstream)


@pytest.mark.parametrize("name", ["jane", "Jane@Example.org"], ids=["login", "e-mail"])
def test_password(gateway, upstream, name):
    session = client(gateway, client=LegacyApplicationClient("app", scope=["tracker"]))
    answer = session.fetch_token(
        gateway.token_url, username=name, password=PASSWORD, auth=APP, access_type="offline", timeout=20
    )
    assert_acts_for(session, gateway, upstream)
    session.refresh_token(gateway.token_url, auth=APP, timeout=30)
    assert session.token["refresh_token"] != answer["refresh_token"]
    assert_acts_for(session, gateway, upstream)


# --- Authlib ---


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
def test_authlib_code(gateway, upstream, method):
    session = authlib(gateway, code_challenge_method="S256", token_endpoint_auth_method=method)
    verifier = "v" * 64
    url, state = session.create_authorization_url(
        gateway.authorization_url, code_verifier=verifier, access_type="offline"
    )
    location = Person(gateway).go(url)
    answer = session.fetch_token(
        gateway.token_url, authorization_response=location, state=state, code_verifier=verifier, timeout=10
    )
    assert_acts_for(session, gateway, upstream)
    again = session.refresh_token(gateway.token_url, timeout=30)
    assert again["refresh_token"] != answer["refresh_token"]
    assert_acts_for(session, gateway, upstream)


@pytest.mark.parametrize("verifier", [None, "v" * 43], ids=["no PKCE", "plain"])
def test_authlib_code_without_s256(gateway, upstream, verifier):
    session = authlib(gateway)
    # RFC 7636 section 4.3: without a method the challenge is the verifier.
    asked, proof = ({"code_challenge": verifier}, {"code_verifier": verifier}) if verifier else ({}, {})
    url, state = session.create_authorization_url(gateway.authorization_url, **asked)
    location = Person(gateway).go(url)
    session.fetch_token(gateway.token_url, authorization_response=location, state=state, timeout=30, **proof)
    assert_acts_for(session, gateway, upstream)


def test_authlib_implicit(gateway, upstream):
    session = authlib(gateway, response_type="token")
    url, state = session.create_authorization_url(gateway.authorization_url)
    location = Person(gateway).go(url)
    assert session.fetch_token(authorization_response=location, state=state)["token_type"] == "Bearer"
    assert_acts_for(session, gateway, upstream)


def test_authlib_password(gateway, upstream):
    session = authlib(gateway)
    answer = session.fetch_token(gateway.token_url, username="jane", password=PASSWORD, timeout=30)
    assert "refresh_token" not in answer
    assert_acts_for(session, gateway, upstream)


def test_authlib_asks_and_revokes(gateway, upstream):
    session = authlib(gateway)
    answer = session.fetch_token(
        gateway.token_url, username="jane", password=PASSWORD, access_type="offline", timeout=20
    )
    told = session.introspect_token(f"{gateway.oauth_url}/introspect", token=answer["access_token"]).json()
    assert (told["active"], told["username"], told["client_id"]) == (True, "jane", "app")
    assert (told["scope"], told["iss"]) == ("tracker", gateway.issuer)
    refreshing = session.introspect_token(
        f"{gateway.oauth_url}/introspect", token=answer["refresh_token"], token_type_hint="refresh_token"
    ).json()
    assert refreshing["active"] is True
    assert opens(gateway, answer["access_token"])

    revoked = session.revoke_token(
        f"{gateway.oauth_url}/revoke", token=answer["refresh_token"], token_type_hint="refresh_token"
    )
    assert revoked.status_code == 200
    # RFC 7009 section 2.1: the access tokens of the same grant go with it.
    assert not opens(gateway, answer["access_token"])
    for token in (answer["access_token"], answer["refresh_token"]):
        told = session.introspect_token(f"{gateway.oauth_url}/introspect", token=token).json()
        assert told == {"active": False}
    with pytest.raises(OAuthError) as refused:
        session.refresh_token(gateway.token_url, refresh_token=answer["refresh_token"], timeout=30)
    assert refused.value.error == "invalid_grant"


def test_authlib_revokes_an_access_token(gateway):
    session = authlib(gateway)
    text = session.fetch_token(gateway.token_url, username="jane", password=PASSWORD, timeout=30)["access_token"]
    assert opens(gateway, text)
    revoked = session.revoke_token(f"{gateway.oauth_url}/revoke", token=text, token_type_hint="access_token")
    assert revoked.status_code == 200
    assert not opens(gateway, text)


# --- consent ---


def test_consent_is_asked_once(gateway, upstream):
    asking = ("asking", SECRETS["app"])
    person = Person(gateway, "bob")
    for pages in (["/hub/auth/login", "/hub/auth/consent"], []):
        session = client(gateway, "asking")
        url, _ = session.authorization_url(gateway.authorization_url)
        location = person.go(url)
        session.fetch_token(gateway.token_url, authorization_response=location, auth=asking, timeout=30)
        assert_acts_for(session, gateway, upstream, "bob", "asking")
        assert person.pages == pages
        person.pages.clear()


def test_consent_can_be_refused(gateway):
    session = client(gateway, "asking")
    url, state = session.authorization_url(gateway.authorization_url)
    person = Person(gateway)
    page = person.until_consent(url)
    assert "Asking" in page.text and "Issue Tracker" in page.text and "Jane Doe" in page.text
    location = person.allow(page, "cancel")
    assert parameters_of(location)["state"] == state
    with pytest.raises(AccessDeniedError):
        session.fetch_token(gateway.token_url, authorization_response=location, auth=APP)


# --- what is refused ---


def test_a_code_is_good_once_and_takes_its_tokens_along(gateway):
    session = client(gateway)
    url, _ = session.authorization_url(gateway.authorization_url, access_type="offline")
    location = Person(gateway).go(url)
    answer = session.fetch_token(gateway.token_url, authorization_response=location, auth=APP, timeout=30)
    assert opens(gateway, answer["access_token"])
    with pytest.raises(InvalidGrantError):
        session.fetch_token(gateway.token_url, authorization_response=location, auth=APP, timeout=30)
    assert not opens(gateway, answer["access_token"])
    with pytest.raises(InvalidGrantError):
        session.refresh_token(gateway.token_url, refresh_token=answer["refresh_token"], auth=APP, timeout=30)


def test_a_code_needs_its_verifier_and_its_client(gateway):
    session = client(gateway, pkce="S256")
    url, _ = session.authorization_url(gateway.authorization_url)
    location = Person(gateway).go(url)
    code = parameters_of(location)["code"]
    for verifier, auth in (("w" * 64, APP), (None, APP), (session._code_verifier, ("asking", SECRETS["app"]))):
        with pytest.raises(InvalidGrantError):
            client(gateway, auth[0]).fetch_token(
                gateway.token_url, code=code, code_verifier=verifier, auth=auth, timeout=10
            )
    # None of these attempts has spent it.
    assert session.fetch_token(gateway.token_url, authorization_response=location, auth=APP, timeout=30)


def test_the_state_comes_back_as_it_went(gateway):
    session = client(gateway, state="a;b+c d&e=ü%20")
    url, state = session.authorization_url(gateway.authorization_url)
    location = Person(gateway).go(url)
    assert parameters_of(location)["state"] == state
    other = client(gateway, state="another")
    with pytest.raises(MismatchingStateError):
        other.fetch_token(gateway.token_url, authorization_response=location, auth=APP)


def test_libraries_understand_refusals(gateway):
    session = client(gateway, scope="nobody")
    url, _ = session.authorization_url(gateway.authorization_url)
    with pytest.raises(InvalidScopeError):
        session.fetch_token(gateway.token_url, authorization_response=Person(gateway).go(url), auth=APP)

    session = client(gateway, client=LegacyApplicationClient("app", scope=["tracker"]))
    with pytest.raises(InvalidGrantError) as refused:
        session.fetch_token(gateway.token_url, username="jane", password="wrong", auth=APP, timeout=30)
    unknown = client(gateway, client=LegacyApplicationClient("app", scope=["tracker"]))
    with pytest.raises(InvalidGrantError) as alike:
        unknown.fetch_token(gateway.token_url, username="nobody", password="wrong", auth=APP, timeout=30)
    assert refused.value.description == alike.value.description

    session = client(gateway)
    with pytest.raises(OAuth2Error) as refused:
        session.refresh_token(gateway.token_url, refresh_token="hgr_" + "A" * 43, auth=APP, timeout=30)
    assert refused.value.error == "invalid_grant"
    with pytest.raises(OAuth2Error) as refused:
        session.refresh_token(gateway.token_url, refresh_token="x", auth=("app", "wrong-secret-0123456"), timeout=30)
    assert refused.value.error == "invalid_client"


def test_refresh_narrows_and_never_widens(gateway):
    session = authlib(gateway, scope="tracker robot")
    answer = session.fetch_token(
        gateway.token_url, username="jane", password=PASSWORD, access_type="offline", timeout=20
    )
    assert answer["scope"] == "tracker robot"
    narrowed = session.refresh_token(gateway.token_url, scope="tracker", timeout=30)
    assert narrowed["scope"] == "tracker"
    with pytest.raises(OAuthError) as refused:
        session.refresh_token(gateway.token_url, scope="tracker robot untrusted", timeout=30)
    assert refused.value.error == "invalid_scope"


# --- sign-in and sign-out as scripts do them ---


def login(gateway, browser, password, url):
    query = url.partition("?")[2]
    return browser.post(
        f"{gateway.oauth_url}/interactive/login?{query}&rememberMe=true",
        data={"username": "bob", "password": password, "rememberMe": "on"},
        verify=gateway.certificate,
        allow_redirects=False,
        timeout=30,
    )


def test_a_login_script(gateway, upstream):
    session = client(gateway, client=MobileApplicationClient("app"))
    url, _ = session.authorization_url(gateway.authorization_url)
    browser = requests.Session()
    answer = login(gateway, browser, "wrong", url)
    assert answer.status_code == 303 and "hub-auth-credentials-bad" in answer.headers["location"]
    assert len(browser.cookies) == 0
    answer = login(gateway, browser, PASSWORD, url)
    assert answer.status_code == 303 and "hub-auth-credentials-bad" not in answer.headers["location"]
    assert [cookie.name for cookie in browser.cookies] == ["__Host-hubgate"]
    answer = browser.get(answer.headers["location"], verify=gateway.certificate, allow_redirects=False, timeout=30)
    assert answer.status_code == 302
    session.token_from_fragment(answer.headers["location"])
    assert_acts_for(session, gateway, upstream, "bob")


def test_signing_out_ends_the_session(gateway):
    session = client(gateway)
    url, _ = session.authorization_url(gateway.authorization_url)
    person = Person(gateway)
    session.fetch_token(gateway.token_url, authorization_response=person.go(url), auth=APP, timeout=30)
    assert opens(gateway, session.token["access_token"])
    assert person.go(f"{gateway.oauth_url}/logout?client_id=app&state=x%26y") == "https://app.example/?state=x%26y"
    assert not opens(gateway, session.token["access_token"])
    silent, _ = client(gateway).authorization_url(gateway.authorization_url, request_credentials="silent")
    assert parameters_of(person.go(silent))["error"] == "access_denied"


def test_no_password_and_no_token_of_a_person_is_logged(gateway):
    session = client(gateway)
    url, _ = session.authorization_url(gateway.authorization_url, access_type="offline")
    location = Person(gateway).go(url)
    answer = session.fetch_token(gateway.token_url, authorization_response=location, auth=APP, timeout=30)
    log = gateway.output()
    assert "/hub/api/rest/oauth2/interactive/login" in log, "the access line is missing"
    for secret in (PASSWORD, parameters_of(location)["code"], answer["access_token"], answer["refresh_token"]):
        assert secret not in log
