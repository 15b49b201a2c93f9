"""A person with a browser that runs no script: shows our pages, fills in their forms, and stops where a client takes over."""

import dataclasses
import html.parser
import urllib.parse

import requests
from conftest import PASSWORD


@dataclasses.dataclass
class Form:
    """A form of a page: where it goes, and its fields with what they begin with."""

    action: str
    fields: dict[str, str]


class _Forms(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[Form] = []

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        if tag == "form":
            assert attributes["method"] == "post"
            self.found.append(Form(attributes["action"], {}))
        elif tag == "input" and attributes.get("type") != "checkbox":
            self.found[-1].fields[attributes["name"]] = attributes.get("value") or ""


def form_of(page: requests.Response) -> Form:
    """The one form of a page."""
    assert page.status_code == 200, page.text
    reader = _Forms()
    reader.feed(page.text)
    assert len(reader.found) == 1, page.text
    form = reader.found[0]
    return dataclasses.replace(form, action=urllib.parse.urljoin(page.url, form.action))


def parameters_of(location: str) -> dict[str, str]:
    """What an answer brings, from the query or the fragment."""
    parts = urllib.parse.urlsplit(location)
    assert not (parts.query and parts.fragment), location
    pairs = urllib.parse.parse_qsl(parts.query or parts.fragment, keep_blank_values=True, strict_parsing=True)
    assert len(dict(pairs)) == len(pairs), location
    return dict(pairs)


class Person:
    """Somebody at a browser of their own."""

    def __init__(self, gateway, login: str = "jane", password: str = PASSWORD) -> None:
        self.gateway = gateway
        self.login, self.password = login, password
        self.browser = requests.Session()
        self.browser.trust_env = False
        self.browser.verify = str(gateway.certificate)
        self.pages: list[str] = []

    def go(self, url: str) -> str:
        """Follows a client's request to where it leaves the gateway, signing in and allowing what is asked on the way."""
        return self._follow(self._get(url))

    def allow(self, page: requests.Response, decision: str = "allow") -> str:
        """Answers the consent page."""
        form = form_of(page)
        return self._follow(self._post(form.action, form.fields | {"decision": decision}))

    def until_consent(self, url: str) -> requests.Response:
        """The consent page that a client's request leads to."""
        answer = self._get(url)
        while "/auth/consent" not in answer.url or answer.is_redirect:
            answer = self._next(answer)
        return answer

    def _get(self, url: str) -> requests.Response:
        return self.browser.get(url, allow_redirects=False, timeout=30)

    def _post(self, url: str, fields: dict[str, str]) -> requests.Response:
        # As a page of ours does.
        headers = {"Origin": self.gateway.url, "Sec-Fetch-Site": "same-origin"}
        return self.browser.post(url, data=fields, headers=headers, allow_redirects=False, timeout=30)

    def _leaves(self, location: str) -> bool:
        return not location.startswith(self.gateway.url + "/")

    def _next(self, answer: requests.Response) -> requests.Response:
        """The step after a redirect of the gateway to itself, or after the login page."""
        if answer.is_redirect:
            location = answer.headers["location"]
            assert not self._leaves(location), f"went to {location}"
            return self._get(urllib.parse.urljoin(answer.url, location))
        self.pages.append(urllib.parse.urlsplit(answer.url).path)
        form = form_of(answer)
        return self._post(form.action, form.fields | {"username": self.login, "password": self.password})

    def _follow(self, answer: requests.Response) -> str:
        for _ in range(12):
            if answer.is_redirect and self._leaves(answer.headers["location"]):
                return answer.headers["location"]
            if not answer.is_redirect and "/auth/consent" in answer.url:
                self.pages.append(urllib.parse.urlsplit(answer.url).path)
                return self.allow(answer)
            answer = self._next(answer)
        raise AssertionError(f"goes round in circles at {answer.url}")
