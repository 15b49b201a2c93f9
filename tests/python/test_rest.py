"""The registry over REST, as other people's clients and scripts use it: Hub's generated client, Upsource's, YouTrack's, curl."""

import json
import subprocess
import urllib.parse

import httpx
import pytest
import requests
from conftest import PASSWORD, SECRETS
from hub_rest_client import AuthenticatedClient
from hub_rest_client.api import default as api
from hub_rest_client.api.default import (
    delete_services_service_id,
    delete_usergroups_user_group_id,
    delete_users_user_id,
    delete_users_user_id_groups_user_group_id,
    delete_users_user_id_permanenttokens_permanent_token_id,
    get_authmodules,
    get_events,
    get_permissions,
    get_services,
    get_services_service_id,
    get_settings,
    get_usergroups,
    get_users,
    get_users_user_id,
    get_users_user_id_permanenttokens,
    get_users_user_id_refreshtokens,
    post_services,
    post_services_service_id,
    post_usergroups,
    post_users,
    post_users_user_id,
    post_users_user_id_groups,
    post_users_user_id_permanenttokens,
)
from hub_rest_client.models.permanent_token import PermanentToken
from hub_rest_client.models.service import Service
from hub_rest_client.models.user import User
from hub_rest_client.models.user_group import UserGroup
from upsource.exception import AuthError, ClientError, ValidationError
from upsource.HubClient import HubClient


def token_of(gateway, login: str, password: str = PASSWORD) -> str:
    """An access token for REST."""
    form = {"grant_type": "password", "username": login, "password": password, "scope": "0-0-0-0-0"}
    made = requests.post(gateway.token_url, data=form, auth=("app", SECRETS["app"]), verify=gateway.certificate, timeout=30)
    assert made.status_code == 200, made.text
    return made.json()["access_token"]


# --- hub-rest-client, generated from Hub's own description ---


class Generated:
    """Requests as hub-rest-client builds them. Its parsers of answers cannot read Hub's either, so they are left out."""

    def __init__(self, gateway, token: str) -> None:
        self._client = AuthenticatedClient(hub_base_url=f"{gateway.issuer}/api/rest", token=token)
        self._certificate = str(gateway.certificate)

    def send(self, operation, *ids: str, **arguments) -> httpx.Response:
        method = operation.__name__.removeprefix(f"{api.__name__}.").split("_", 1)[0]
        request = operation._get_kwargs(*ids, client=self._client, **arguments)
        return httpx.request(method.upper(), verify=self._certificate, trust_env=False, **request)

    def done(self, operation, *ids: str, **arguments):
        answer = self.send(operation, *ids, **arguments)
        assert answer.status_code == 200, answer.text
        return answer.json() if answer.content else None


@pytest.fixture
def generated(gateway):
    return Generated(gateway, token_of(gateway, "root"))


def test_a_generated_client_reads_every_list(generated):
    for operation, key in [
        (get_services, "services"),
        (get_users, "users"),
        (get_usergroups, "usergroups"),
        (get_permissions, "permissions"),
        (get_authmodules, "authmodules"),
        (get_settings, "settings"),
        (get_events, "events"),
    ]:
        page = generated.done(operation)
        assert page["skip"] == 0 and page["total"] >= len(page[key]) > 0, page
        assert all("type" in one for one in page[key]), page
        # What it asks for is what it gets: its lists of fields are Hub's own.
        assert generated.done(operation, fields="id")[key][0].keys() == {"type", "id"}


def test_a_generated_client_keeps_a_service(gateway, generated):
    wanted = Service(type="service", name="Generated", home_url="https://generated.example/", redirect_uris=["https://generated.example/cb"])
    made = generated.done(post_services, json_body=wanted, fields="id,secret,name,homeUrl,redirectUris,trusted")
    assert (made["name"], made["homeUrl"], made["trusted"]) == ("Generated", "https://generated.example/", True)
    assert made["redirectUris"] == ["https://generated.example/cb"]
    # The fields that it asks for unless told otherwise hold the secret; nobody sees it again.
    service = made["id"]
    seen = generated.done(get_services_service_id, service)
    assert "secret" not in seen and seen["key"] == "Generated" and seen["type"] == "service"
    changed = generated.done(post_services_service_id, service, json_body=Service(type="service", name="Renamed"), fields="name,homeUrl")
    assert changed == {"type": "service", "name": "Renamed", "homeUrl": "https://generated.example/"}
    assert generated.done(delete_services_service_id, service) is None
    gone = generated.send(get_services_service_id, service)
    assert (gone.status_code, gone.json()["error"], gone.json()["error_code"]) == (404, "Not Found", 404)


def test_a_generated_client_keeps_users_groups_and_tokens(gateway, generated):
    user = generated.done(post_users, json_body=User(type="user", login="gen", name="Gen Erated"), fields="id")["id"]
    taken = generated.send(post_users, json_body=User(type="user", login="gen", name="Another"))
    assert (taken.status_code, taken.json()["error"], taken.json()["error_field"]) == (409, "must-be-unique", "login")
    generated.done(post_users_user_id, user, json_body=User(type="user", name="Generated"))
    assert generated.done(get_users_user_id, user, fields="name,login") == {"type": "user", "name": "Generated", "login": "gen"}

    group = generated.done(post_usergroups, json_body=UserGroup(type="userGroup", name="generated ones"), fields="id,name")["id"]
    generated.done(post_users_user_id_groups, user, json_body=UserGroup(type="userGroup", id=group))
    groups = generated.done(get_users_user_id, user, fields="groups(id)")["groups"]
    assert group in [one["id"] for one in groups]
    generated.done(delete_users_user_id_groups_user_group_id, user, group)
    assert group not in [one["id"] for one in generated.done(get_users_user_id, user, fields="groups(id)")["groups"]]

    wanted = PermanentToken(name="generated", scope=[Service(type="service", id="0-0-0-0-0")])
    token = generated.done(post_users_user_id_permanenttokens, user, json_body=wanted)
    with_token = Generated(gateway, token["token"])
    assert with_token.done(get_users_user_id, "me", fields="login")["login"] == "gen"
    # It may what the user may, and no more.
    assert with_token.send(post_services, json_body=Service(type="service", name="Mine")).status_code == 403
    assert with_token.send(delete_users_user_id, user).status_code == 403
    assert with_token.done(get_users_user_id_refreshtokens, user)["refreshtokens"] == []
    listed = generated.done(get_users_user_id_permanenttokens, user)["permanenttokens"]
    assert [one["id"] for one in listed] == [token["id"]] and "token" not in listed[0]
    generated.done(delete_users_user_id_permanenttokens_permanent_token_id, user, token["id"])
    assert with_token.send(get_users_user_id, "me").status_code == 401

    generated.done(delete_usergroups_user_group_id, group)
    generated.done(delete_users_user_id, user)
    assert generated.send(get_users_user_id, user).status_code == 404


def test_a_generated_client_without_a_good_token_gets_nothing(gateway):
    for operation in (get_services, get_users, get_usergroups, get_events, get_settings):
        answer = Generated(gateway, "no.such.token").send(operation)
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")


# --- python-upsource-api, with login and password ---


def upsource(gateway, login="root", password=PASSWORD) -> HubClient:
    client = HubClient(gateway.issuer, login, password)
    client._session.verify = str(gateway.certificate)
    client._session.trust_env = False
    return client


def test_upsource_keeps_users_and_groups(gateway):
    hub = upsource(gateway)
    email = {"type": "EmailJSON", "email": "up@example.org", "verified": False}
    made = hub.create_user("up", "Up Source", {"email": email}, [], fields="id,login,name")
    assert (made["login"], made["name"]) == ("up", "Up Source")
    user = made["id"]
    with pytest.raises(ClientError, match="409"):
        hub.create_user("up", "Another", {}, [])

    # It reads a whole user, changes a member, and sends the whole back.
    hub.update_user_email_verified(user, True)
    seen = hub.get_user(user, fields="login,name,banned,profile(email(email,verified))")
    assert seen["profile"]["email"] == {"type": "EmailJSON", "email": "up@example.org", "verified": True}
    assert (seen["login"], seen["name"], seen["banned"]) == ("up", "Up Source", False)
    hub.update_existing_user(user, {"name": "Upsource"})
    assert hub.get_user(user)["name"] == "Upsource"
    # A picture inside of its own address is kept nowhere.
    with pytest.raises(ValidationError, match="400"):
        hub.update_user_avatar(user, b"\xff\xd8\xff")

    group = hub.create_user_group({"name": "upsource"}, fields="id,name")["id"]
    hub.update_existing_user_group(group, {"description": "Reviewers"})
    assert hub.get_user_group(group, fields="name,description")["description"] == "Reviewers"
    hub.add_user_to_users_of_user_group(group, {"id": user})
    assert [one["login"] for one in hub.get_users_of_user_group(group)] == ["up"]
    assert hub.get_user_from_users_of_user_group(group, user, fields="login")["login"] == "up"
    assert group in [one["id"] for one in hub.get_groups_of_user(user)]
    hub.remove_user_from_users_of_user_group(group, user)
    assert list(hub.get_users_of_user_group(group)) == []
    with pytest.raises(ClientError, match="404"):
        hub.get_user_from_users_of_user_group(group, user)

    hub.delete_user_group(group)
    assert group not in [one["id"] for one in hub.get_all_user_groups(fields="id")]
    hub.delete_user(user)
    with pytest.raises(ClientError, match="404"):
        hub.get_user(user)


def test_upsource_goes_through_more_than_one_page(gateway):
    hub = upsource(gateway, password=application_password(gateway, "root"))
    made = [hub.create_user(f"page-{number:03}", f"Page {number}", {}, [])["id"] for number in range(101)]
    try:
        found = [one["id"] for one in hub.get_all_users(fields="id,login")]
        assert len(found) > 101 and len(set(found)) == len(found) and set(made) <= set(found)
    finally:
        for user in made:
            hub.delete_user(user)


def test_upsource_as_somebody_else(gateway):
    jane = upsource(gateway, "jane")
    assert jane.get_user("me")["login"] == "jane"
    with pytest.raises(AuthError, match="403"):
        jane.create_user("more", "More", {}, [])
    with pytest.raises(AuthError, match="403"):
        jane.create_user_group({"name": "mine"})
    with pytest.raises(AuthError, match="403"):
        jane.delete_user("me")
    with pytest.raises(AuthError, match="401"):
        upsource(gateway, "jane", "not her password").get_user("me")


def application_password(gateway, login: str) -> str:
    """One that costs no hashing at each request."""
    address = f"{gateway.issuer}/api/rest/users/me/applicationPasswords"
    made = requests.post(address, json={"name": "upsource"}, auth=(login, PASSWORD), verify=gateway.certificate, timeout=30)
    assert made.status_code == 200, made.text
    return made.json()["password"]


# --- youtrack-cli ---
#
# It brings along a terminal interface, Docker, key rings and a type checker, so it is not installed: what follows sends what
# its version 0.27.0 sends to Hub, with the headers and members that it sends, in words of our own.


class YouTrackCli:
    def __init__(self, gateway, token: str) -> None:
        self._base = f"{gateway.url}/hub/api/rest"
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = str(gateway.certificate)
        self._session.headers = {
            "Authorization": f"Bearer {token}",
            "Accept": "application/json",
            "Content-Type": "application/json",
        }

    def __call__(self, method: str, path: str, body=None, **params) -> requests.Response:
        return self._session.request(method, f"{self._base}/{path}", json=body, params=params, timeout=30)

    def update(self, user: str, body) -> requests.Response:
        """PUT first; POST where that is not for it."""
        put = self("PUT", f"users/{user}", body)
        assert (put.status_code, "POST" in put.headers["Allow"]) == (405, True)
        return self("POST", f"users/{user}", body)


@pytest.fixture
def youtrack(gateway):
    address = f"{gateway.issuer}/api/rest/users/me/permanenttokens"
    body = {"name": "yt", "scope": [{"id": "0-0-0-0-0"}]}
    made = requests.post(address, json=body, auth=("root", PASSWORD), verify=gateway.certificate, timeout=30)
    return YouTrackCli(gateway, made.json()["token"])


def test_youtrack_cli_keeps_users(gateway, youtrack):
    person = {"login": "yt-user", "fullName": "You Track", "email": "yt@example.org"}
    secrets = {"forceChangePassword": False, "password": "first secret of mine"}
    made = youtrack("POST", "users", person | secrets, fields="id,login,name,email,banned")
    assert made.status_code == 200, made.text
    assert (made.json()["login"], made.json()["name"], made.json()["banned"]) == ("yt-user", "You Track", False)
    user = made.json()["id"]

    def signs_in(password):
        address = f"{gateway.issuer}/api/rest/users/me"
        return requests.get(address, auth=("yt-user", password), verify=gateway.certificate, timeout=30).status_code

    assert signs_in("first secret of mine") == 200
    # Searched for by a bare login.
    assert [one["login"] for one in youtrack("GET", "users", query="yt-user").json()["users"]] == ["yt-user"]
    assert youtrack.update(user, {"fullName": "Renamed"}).status_code == 200
    assert youtrack("GET", f"users/{user}", fields="name").json()["name"] == "Renamed"
    assert youtrack("POST", f"users/{user}", {"banned": True}).status_code == 200
    assert signs_in("first secret of mine") == 401
    assert youtrack("POST", f"users/{user}", {"banned": False}).status_code == 200
    assert signs_in("first secret of mine") == 200
    change = {"password": "second secret of mine", "forceChangePassword": False}
    assert youtrack("POST", f"users/{user}", change).status_code == 200
    assert (signs_in("first secret of mine"), signs_in("second secret of mine")) == (401, 200)
    # One that is good for a single sign-in is not good for REST.
    change = {"password": "third secret of mine", "forceChangePassword": True}
    assert youtrack("POST", f"users/{user}", change).status_code == 200
    assert signs_in("third secret of mine") == 403
    assert youtrack("DELETE", f"users/{user}").status_code == 200


def test_youtrack_cli_keeps_groups(gateway, youtrack):
    made = youtrack("POST", "usergroups", {"name": "yt", "description": "Ours"}, fields="id,name,description")
    assert made.json() == {"type": "userGroup", "id": made.json()["id"], "name": "yt", "description": "Ours"}
    group = made.json()["id"]
    twice = youtrack("POST", "usergroups", {"name": "yt"})
    assert (twice.status_code, twice.json()["error_field"]) == (409, "name")
    user = youtrack("POST", "users", {"login": "yt-member", "fullName": "Member"}, fields="id").json()["id"]
    body = {"type": "user", "id": user, "login": "yt-member"}
    assert youtrack("POST", f"usergroups/{group}/users", body).status_code == 200

    def members():
        groups = youtrack("GET", "usergroups", fields="id,name,description,users(login,fullName)").json()["usergroups"]
        return [user["login"] for one in groups if one["id"] == group for user in one.get("users", [])]

    assert members() == ["yt-member"]
    assert youtrack("DELETE", f"usergroups/{group}/users/{user}").status_code == 200
    assert members() == []
    # The groups of a user that the configuration declares are decided there.
    jane = youtrack("GET", "users", query="jane", fields="id,login").json()["users"][0]
    declared = youtrack("POST", f"usergroups/{group}/users", {"type": "user", "id": jane["id"], "login": "jane"})
    assert (declared.status_code, members()) == (409, [])
    assert youtrack("DELETE", f"users/{user}").status_code == 200
    assert youtrack("DELETE", f"usergroups/{group}").status_code == 200


# --- curl ---


def curl(gateway, *arguments: str) -> tuple[int, str]:
    command = ["curl", "-sS", "--noproxy", "*", "--cacert", str(gateway.certificate), "-w", "\n%{http_code}", *arguments]
    output = subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout
    body, _, status = output.rpartition("\n")
    return int(status), body


def test_hubs_own_sample_of_registering_a_service(gateway):
    # As Hub's documentation has it. The addresses are missing in what is published; these stand in for them.
    sample = """{
      "name": "My Service",
      "homeUrl": "https://my-service.example",
      "redirectUris": ["https://my-service.example/oauth"],
      "applicationName": "My Service",
      "vendor": "Company Inc.",
      "version": "1.0"
    }"""
    headers = ["-H", "Accept: application/json", "-H", "Content-Type: application/json"]
    address = f"{gateway.issuer}/api/rest/services?fields=id,secret"
    bearer = ["-H", f"Authorization: Bearer {token_of(gateway, 'root')}"]
    status, _ = curl(gateway, "-X", "POST", *headers, "--data", sample, address)
    assert status == 401
    status, body = curl(gateway, "-X", "POST", *headers, *bearer, "--data", sample, address)
    made = json.loads(body)
    assert status == 200 and made.keys() == {"type", "id", "secret"}
    # "You can later use service's id and secret for authorization": later is at once.
    form = ["--data", "grant_type=client_credentials", "--data", "scope=0-0-0-0-0"]
    user = f"{made['id']}:{made['secret']}"
    status, body = curl(gateway, "-u", user, *form, gateway.token_url)
    assert status == 200, body
    own = ["-H", f"Authorization: Bearer {json.loads(body)['access_token']}"]
    status, body = curl(gateway, *own, f"{gateway.issuer}/api/rest/services/me?fields=id,name,vendor")
    seen = {"type": "service", "id": made["id"], "name": "My Service", "vendor": "Company Inc."}
    assert (status, json.loads(body)) == (200, seen)
    status, _ = curl(gateway, "-u", f"{made['id']}:{made['secret']}x", *form, gateway.token_url)
    assert status == 401
    # No longer there, no longer good for anything.
    assert curl(gateway, "-X", "DELETE", *bearer, f"{gateway.issuer}/api/rest/services/{made['id']}")[0] == 200
    assert curl(gateway, "-u", user, *form, gateway.token_url)[0] == 401
    assert curl(gateway, *own, f"{gateway.issuer}/api/rest/services/me")[0] == 401
    assert made["secret"] not in gateway.output()


def test_a_permanent_token_with_curl(gateway, upstream):
    address = f"{gateway.issuer}/api/rest/users/me/permanenttokens"
    body = json.dumps({"name": "curl", "scope": [{"id": "tracker"}, {"id": "0-0-0-0-0"}]})
    made = curl(gateway, "-u", f"bob:{PASSWORD}", "-H", "Content-Type: application/json", "--data", body, address)
    token = json.loads(made[1])
    bearer = ["-H", f"Authorization: Bearer {token['token']}"]
    assert curl(gateway, *bearer, f"{gateway.url}/tracker/x")[0] == 200
    assert upstream.one().header("x-forwarded-preferred-username") == "bob"
    assert json.loads(curl(gateway, *bearer, f"{gateway.issuer}/api/rest/users/me")[1])["login"] == "bob"
    # It takes itself back.
    assert curl(gateway, *bearer, "-X", "DELETE", f"{address}/{urllib.parse.quote(token['id'])}")[0] == 200
    for refused in (f"{gateway.url}/tracker/x", f"{gateway.issuer}/api/rest/users/me"):
        status, body = curl(gateway, *bearer, refused)
        assert (status, json.loads(body)["error"]) == (401, "invalid_token")
    assert upstream.take() == []
