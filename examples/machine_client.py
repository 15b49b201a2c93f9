#!/usr/bin/env python3
"""A machine client in Python: client credentials, then a call through the gateway.

    pip install requests-oauthlib

With `hubgate demo` running in another terminal, and the secret and folder that it printed:

    python3 examples/machine_client.py --secret SECRET --ca CERTIFICATE

The secret may also come from HUBGATE_CLIENT_SECRET, so that it does not show in the process list.
"""

import argparse
import json
import os
import sys

from oauthlib.oauth2 import BackendApplicationClient, OAuth2Error
from requests.auth import HTTPBasicAuth
from requests.exceptions import RequestException
from requests_oauthlib import OAuth2Session


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Obtains a token with client credentials and calls a service with it.")
    parser.add_argument("--gateway", default="https://localhost:8443", help="the gateway's address")
    parser.add_argument("--id", default="demo-robot", help="the service id of this client")
    parser.add_argument("--secret", default=os.environ.get("HUBGATE_CLIENT_SECRET"), help="its secret")
    parser.add_argument("--ca", default=True, help="a PEM file with the certificate to trust (the system's)")
    parser.add_argument("--scope", default="youtrack", help="the service to be called")
    parser.add_argument("--path", default="/youtrack/api/users/me", help="what to call there")
    chosen = parser.parse_args()
    if not chosen.secret:
        parser.error("give --secret, or set HUBGATE_CLIENT_SECRET")
    chosen.gateway = chosen.gateway.rstrip("/")
    return chosen


def main() -> int:
    chosen = options()
    with OAuth2Session(client=BackendApplicationClient(client_id=chosen.id, scope=[chosen.scope])) as session:
        try:
            token = session.fetch_token(
                f"{chosen.gateway}/hub/api/rest/oauth2/token",
                auth=HTTPBasicAuth(chosen.id, chosen.secret),
                verify=chosen.ca,
                timeout=10,
            )
        except OAuth2Error as error:
            print(f"no token: {error.error}: {error.description}", file=sys.stderr)
            return 1
        except (OSError, RequestException) as error:
            print(f"no token: {error}", file=sys.stderr)
            return 1
        print(f"token for {' '.join(token['scope'])}, good for {token['expires_in']} s")

        try:
            answer = session.get(f"{chosen.gateway}{chosen.path}", verify=chosen.ca, timeout=10)
        except RequestException as error:
            print(f"no answer: {error}", file=sys.stderr)
            return 1
        print(answer.status_code, answer.url)
        try:
            print(json.dumps(answer.json(), indent=2))
        except ValueError:
            print(answer.text)
        return 0 if answer.ok else 1


if __name__ == "__main__":
    sys.exit(main())
