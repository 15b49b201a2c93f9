"""The promises of docs/reliability.md, briefly; bench/reliability measures them at length."""

import promises
import pytest

SHORT = {
    "reload": promises.reload,
    "rotate": promises.rotate,
    "certificates": promises.certificates,
    "drain": promises.drain,
    "upstreams": promises.upstreams,
    "ejection": promises.ejection,
    "queue": promises.queue,
    "idle over HTTP/1.1": lambda: promises.idle(kind="idle1"),
    "idle over HTTP/2": lambda: promises.idle(kind="idle2"),
    "slow readers": promises.slow_readers,
    "streams": promises.streams,
    "files": promises.files,
}


def test_each_is_measured_at_length_too():
    assert SHORT.keys() == promises.LONG.keys()


@pytest.mark.parametrize("name", SHORT)
def test_promise(name):
    print(name, SHORT[name]())
