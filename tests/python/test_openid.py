"""OpenID Connect as other people's clients check it: Authlib's client for Flask, and PyJWT on the published keys."""

import ssl

import flask
import jwt
import pytest
import requests
from authlib.integrations.base_client import OAuthError
from authlib.integrations.flask_client import OAuth
from authlib.integrations.requests_client import OAuth2Session as AuthlibSession
from conftest import PASSWORD, SECRETS
from person import Person, parameters_of


@pytest.fixture
def site(gateway):
    """A web application that lets people sign in through the gateway, as Authlib's manual says."""
    app = flask.Flask("site")
    app.secret_key = "a secret of the site"
    oauth = OAuth(app)
    oauth.register(
        "hub",
        client_id="app",
        client_secret=SECRETS["app"],
        server_metadata_url=f"{gateway.issuer}/.well-known/openid-configuration",
        client_kwargs={
            "scope": "openid profile email groups tracker",
            "code_challenge_method": "S256",
            "verify": str(gateway.certificate),
        },
    )

    @app.get("/login")
    def login():
        return oauth.hub.authorize_redirect(flask.url_for("answer", _external=True), **flask.request.args)

    @app.get("/cb")
    def answer():
        try:
            token = oauth.hub.authorize_access_token()
        except OAuthError as error:
            return {"refused": error.error}
        return {"token": token, "userinfo": oauth.hub.userinfo(token=token)}

    return app


def sign_in(site, person, **more):
    """One sign-in: the site's cookie is in the one jar, the gateway's in the other."""
    with site.test_client() as browser:
        started = browser.get("/login", query_string=more)
        assert started.status_code == 302
        location = person.go(started.headers["location"])
        return browser.get(location.removeprefix("http://localhost")).get_json()


def key_of(gateway, text):
    """The published key that signed a token, as PyJWT finds it."""
    context = ssl.create_default_context(cafile=gateway.certificate)
    return jwt.PyJWKClient(gateway.keys_url, ssl_context=context).get_signing_key_from_jwt(text).key


def test_authlib_finds_everything_and_signs_in(gateway, site):
    told = sign_in(site, Person(gateway))
    # What the library has verified: signature by the published keys, issuer, audience, nonce, times.
    claims = told["token"]["userinfo"]
    assert (claims["iss"], claims["aud"]) == (gateway.issuer, ["app"])
    assert claims["nonce"] and claims["at_hash"]
    for each in (claims, told["userinfo"]):
        assert (each["name"], each["preferred_username"], each["groups"]) == ("Jane Doe", "jane", ["developers"])
        assert (each["email"], each["email_verified"]) == ("jane@example.org", True)
    assert told["userinfo"]["sub"] == claims["sub"]


def test_authlib_is_told_that_nobody_is_signed_in(gateway, site):
    assert sign_in(site, Person(gateway), prompt="none") == {"refused": "login_required"}


def test_signing_in_again_when_asked(gateway, site):
    person = Person(gateway)
    first = sign_in(site, person)["token"]["userinfo"]
    person.pages.clear()
    assert sign_in(site, person)["token"]["userinfo"]["auth_time"] == first["auth_time"]
    assert person.pages == []
    again = sign_in(site, person, prompt="login")["token"]["userinfo"]
    assert person.pages == ["/hub/auth/login"] and again["auth_time"] >= first["auth_time"]


def test_pyjwt_accepts_an_id_token(gateway, site):
    text = sign_in(site, Person(gateway))["token"]["id_token"]
    assert jwt.get_unverified_header(text)["alg"] == "RS256"
    needed = {"require": ["exp", "iat", "iss", "sub", "aud", "auth_time", "nonce"]}
    claims = jwt.decode(
        text, key_of(gateway, text), algorithms=["RS256"], audience="app", issuer=gateway.issuer, options=needed
    )
    assert all(isinstance(claims[name], int) for name in ("iat", "exp", "auth_time"))
    with pytest.raises(jwt.InvalidAudienceError):
        jwt.decode(text, key_of(gateway, text), algorithms=["RS256"], audience="another", issuer=gateway.issuer)


def test_pyjwt_accepts_an_access_token(gateway):
    session = AuthlibSession("app", SECRETS["app"], scope="tracker")
    session.verify = str(gateway.certificate)
    text = session.fetch_token(gateway.token_url, username="jane", password=PASSWORD, timeout=30)["access_token"]
    header = jwt.get_unverified_header(text)
    assert (header["alg"], header["typ"]) == ("ES256", "at+jwt")
    claims = jwt.decode(
        text, key_of(gateway, text), algorithms=["ES256"], audience="tracker", issuer=gateway.issuer
    )
    assert claims["client_id"] == "app" and claims["sub"] not in ("app", "jane")


def test_an_id_token_opens_nothing(gateway, site, upstream):
    text = sign_in(site, Person(gateway))["token"]["id_token"]
    for url in (f"{gateway.url}/tracker/", f"{gateway.oauth_url}/userinfo"):
        answer = requests.get(
            url, headers={"Authorization": f"Bearer {text}"}, verify=gateway.certificate, timeout=10
        )
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")
    assert upstream.take() == []


def test_userinfo_wants_openid(gateway):
    session = AuthlibSession("app", SECRETS["app"], scope="tracker")
    session.verify = str(gateway.certificate)
    session.fetch_token(gateway.token_url, username="jane", password=PASSWORD, timeout=30)
    answer = session.get(f"{gateway.oauth_url}/userinfo", timeout=30)
    assert (answer.status_code, answer.json()["error"]) == (403, "insufficient_scope")


@pytest.mark.parametrize("kind", ["id_token", "id_token token", "code id_token"])
def test_id_tokens_from_the_authorization_endpoint(gateway, kind):
    session = AuthlibSession("app", SECRETS["app"], scope="openid tracker", redirect_uri="https://app.example/cb")
    url, _ = session.create_authorization_url(gateway.authorization_url, response_type=kind, nonce="n-1")
    brought = parameters_of(Person(gateway).go(url))
    text = brought["id_token"]
    claims = jwt.decode(
        text, key_of(gateway, text), algorithms=["RS256"], audience="app", issuer=gateway.issuer
    )
    assert claims["nonce"] == "n-1"
    # OpenID Connect Core sections 3.2.2.9 and 3.3.2.10.
    for name, hashed in (("access_token", "at_hash"), ("code", "c_hash")):
        assert (name in brought) == (hashed in claims)
        if name in brought:
            assert claims[hashed] == half_hash(brought[name])


def half_hash(text):
    digest = jwt.get_algorithm_by_name("RS256").compute_hash_digest(text.encode())
    return jwt.utils.base64url_encode(digest[: len(digest) // 2]).decode()
