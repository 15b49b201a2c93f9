#!/usr/bin/env python3
"""A script that has nothing but a login and a password: the resource owner password grant, and refresh.

With `hubgate demo` running in another terminal, and the secret, certificate and person that it printed:

    python3 examples/script_with_password.py --secret SECRET --ca CERTIFICATE --login jane

The password is asked for, or comes from HUBGATE_PASSWORD; the secret may come from HUBGATE_CLIENT_SECRET. The standard library
is enough.

This grant hands a person's password to a program, so OAuth 2.1 has dropped it, and the profile `oauth21` refuses it. For
programs of your own use client credentials (machine_client.py); for people, web_client.py.
"""

import argparse
import base64
import getpass
import json
import os
import ssl
import sys
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import Request, urlopen


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Obtains a token with a person's password, refreshes it, and calls a service.")
    parser.add_argument("--gateway", default="https://localhost:8443", help="the gateway's address")
    parser.add_argument("--id", default="demo-app", help="the service id of this client")
    parser.add_argument("--secret", default=os.environ.get("HUBGATE_CLIENT_SECRET"), help="its secret")
    parser.add_argument("--ca", help="a PEM file with the certificate to trust (the system's)")
    parser.add_argument("--login", default="jane", help="whose password it is")
    parser.add_argument("--scope", default="youtrack", help="the service to be called")
    parser.add_argument("--path", default="/youtrack/api/users/me", help="what to call there")
    chosen = parser.parse_args()
    if not chosen.secret:
        parser.error("give --secret, or set HUBGATE_CLIENT_SECRET")
    chosen.gateway = chosen.gateway.rstrip("/")
    return chosen


def main() -> int:
    chosen = options()
    password = os.environ.get("HUBGATE_PASSWORD") or getpass.getpass(f"Password of {chosen.login}: ")
    tls = ssl.create_default_context(cafile=chosen.ca)
    basic = base64.b64encode(f"{chosen.id}:{chosen.secret}".encode()).decode()

    def fetch(request: Request) -> dict:
        with urlopen(request, timeout=10, context=tls) as answer:
            return json.load(answer)

    def token(**form: str) -> dict:
        address = f"{chosen.gateway}/hub/api/rest/oauth2/token"
        return fetch(Request(address, urlencode(form).encode(), {"Authorization": f"Basic {basic}"}))

    def call(tokens: dict) -> dict:
        bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
        return fetch(Request(chosen.gateway + chosen.path, headers=bearer))

    try:
        # Without access_type=offline there is no refresh token.
        form = {"username": chosen.login, "password": password, "scope": chosen.scope, "access_type": "offline"}
        first = token(grant_type="password", **form)
        print(f"token for {first['scope']}, good for {first['expires_in']} s")
        print(json.dumps(call(first), indent=2))
        # From here on the password is not needed any more.
        second = token(grant_type="refresh_token", refresh_token=first["refresh_token"])
        print(f"another token, good for {second['expires_in']} s")
        print(json.dumps(call(second), indent=2))
    except HTTPError as error:
        answer = json.load(error)
        print(f"refused: {answer['error']}: {answer['error_description']}", file=sys.stderr)
        return 1
    except URLError as error:
        print(f"no answer: {error.reason}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
