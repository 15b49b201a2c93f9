"""gRPC's own client and server, with the gate between them: all four kinds of call, what is refused, and what is cut short."""

import concurrent.futures
import threading
import time

import grpc
import pytest
import requests
from conftest import Gateway, Upstream
from test_client_credentials import ROBOT, token

PATH = "/demo.Echo"


class Echo(grpc.GenericRpcHandler):
    """Calls that take and give bytes."""

    def __init__(self) -> None:
        self.metadata: list[dict[str, str]] = []
        self.cancelled = threading.Event()

    def service(self, details):
        kinds = {
            "Unary": grpc.unary_unary_rpc_method_handler(self.unary),
            "Down": grpc.unary_stream_rpc_method_handler(self.down),
            "Up": grpc.stream_unary_rpc_method_handler(self.up),
            "Both": grpc.stream_stream_rpc_method_handler(self.both),
            "Refuse": grpc.unary_unary_rpc_method_handler(self.refuse),
            "Hang": grpc.unary_stream_rpc_method_handler(self.hang),
        }
        self.metadata.append({item.key: item.value for item in details.invocation_metadata})
        return kinds.get(details.method.removeprefix(f"{PATH}/"))

    def unary(self, request, context):
        context.set_trailing_metadata((("x-sum", "42"), ("x-sum-bin", b"\x00\xff")))
        return request

    def down(self, request, context):
        for number in range(int(request)):
            yield b"%d" % number

    def up(self, requests, context):
        return b"".join(requests)

    def both(self, requests, context):
        for request in requests:
            yield b"you said " + request

    def refuse(self, request, context):
        context.abort(grpc.StatusCode.NOT_FOUND, "no such thing: \u00e4")

    def hang(self, request, context):
        # Each call has its own end; the others do not end with it.
        over = threading.Event()
        context.add_callback(self.cancelled.set)
        context.add_callback(over.set)
        yield b"begun"
        over.wait(30)


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    echo = Echo()
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(16))
    server.add_generic_rpc_handlers((echo,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    upstream = Upstream()
    route = f'\n[[upstream]]\nservice = "tracker"\npath = "{PATH}"\nto = ["h2c://127.0.0.1:{port}"]\n'
    gateway = Gateway(tmp_path_factory.mktemp("grpc"), upstream, limits=route)
    credentials = grpc.ssl_channel_credentials(gateway.certificate.read_bytes())
    channel = grpc.secure_channel(gateway.url.removeprefix("https://"), credentials)
    yield echo, gateway, channel
    channel.close()
    gateway.stop()
    server.stop(None)
    upstream.close()


def bearer(gateway, scope="tracker"):
    return (("authorization", f"Bearer {token(gateway, scope)}"), ("x-own-bin", b"\x01\xfe"))


def test_all_four_kinds_of_call(house):
    echo, gateway, channel = house
    metadata = bearer(gateway)
    answer, call = channel.unary_unary(f"{PATH}/Unary").with_call(b"hello", metadata=metadata, timeout=30)
    trailing = {item.key: item.value for item in call.trailing_metadata()}
    assert (answer, call.code(), trailing) == (b"hello", grpc.StatusCode.OK, {"x-sum": "42", "x-sum-bin": b"\x00\xff"})
    seen = echo.metadata[-1]
    assert seen["x-own-bin"] == b"\x01\xfe"
    assert seen["x-forwarded-client"] == "robot"
    assert seen["authorization"].startswith("Bearer ") and seen["authorization"] != metadata[0][1]

    large = bytes(range(256)) * 12 * 1024
    assert channel.unary_unary(f"{PATH}/Unary")(large, metadata=metadata, timeout=30) == large
    down = channel.unary_stream(f"{PATH}/Down")(b"1000", metadata=metadata, timeout=30)
    assert [int(number) for number in down] == list(range(1000))
    pieces = [b"%d," % number for number in range(1000)]
    assert channel.stream_unary(f"{PATH}/Up")(iter(pieces), metadata=metadata, timeout=30) == b"".join(pieces)


def test_each_side_hears_the_other_at_once(house):
    _, gateway, channel = house
    words = iter([b"one", b"two", b"three"])
    heard = threading.Semaphore(1)

    def say():
        for word in words:
            # Nothing more is said before the answer to what was said before.
            assert heard.acquire(timeout=30)
            yield word

    answers = channel.stream_stream(f"{PATH}/Both")(say(), metadata=bearer(gateway), timeout=30)
    got = []
    for answer in answers:
        got.append(answer)
        heard.release()
    assert got == [b"you said one", b"you said two", b"you said three"]


def test_the_servers_own_refusal_arrives(house):
    _, gateway, channel = house
    with pytest.raises(grpc.RpcError) as refused:
        channel.unary_unary(f"{PATH}/Refuse")(b"", metadata=bearer(gateway), timeout=30)
    assert (refused.value.code(), refused.value.details()) == (grpc.StatusCode.NOT_FOUND, "no such thing: \u00e4")


def test_what_the_gate_refuses_does_not_arrive(house):
    echo, gateway, channel = house
    before = len(echo.metadata)
    for metadata, code in [
        ((), grpc.StatusCode.UNAUTHENTICATED),
        ((("authorization", "Bearer nonsense"),), grpc.StatusCode.UNAUTHENTICATED),
        (bearer(gateway, scope="app"), grpc.StatusCode.PERMISSION_DENIED),
    ]:
        with pytest.raises(grpc.RpcError) as refused:
            channel.unary_unary(f"{PATH}/Unary")(b"hello", metadata=metadata, timeout=30)
        assert refused.value.code() == code
    assert len(echo.metadata) == before


def test_a_call_that_is_given_up_ends_at_the_server(house):
    echo, gateway, channel = house
    call = channel.unary_stream(f"{PATH}/Hang")(b"", metadata=bearer(gateway))
    assert next(call) == b"begun"
    call.cancel()
    assert echo.cancelled.wait(30)
    echo.cancelled.clear()
    late = channel.unary_stream(f"{PATH}/Hang")(b"", metadata=bearer(gateway), timeout=1)
    with pytest.raises(grpc.RpcError) as ended:
        list(late)
    assert ended.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert echo.cancelled.wait(30)


@pytest.mark.parametrize("kind", ["Hang", "Both"])
def test_a_stream_ends_with_the_token_that_opened_it(house, kind, record_property):
    echo, gateway, channel = house
    echo.cancelled.clear()
    text, other = token(gateway), token(gateway)
    done = threading.Event()

    def say():
        yield b"begun"
        done.wait(40)

    def begin(text):
        metadata = (("authorization", f"Bearer {text}"),)
        if kind == "Hang":
            return channel.unary_stream(f"{PATH}/Hang")(b"", metadata=metadata, timeout=40)
        return channel.stream_stream(f"{PATH}/Both")(say(), metadata=metadata, timeout=40)

    call, neighbour = begin(text), begin(other)
    assert b"begun" in next(call) and b"begun" in next(neighbour)
    revoked = requests.post(f"{gateway.oauth_url}/revoke", data={"token": text}, auth=ROBOT, verify=gateway.certificate, timeout=30)
    began = time.monotonic()
    assert revoked.status_code == 200, revoked.text
    try:
        with pytest.raises(grpc.RpcError) as ended:
            next(call)
        took = time.monotonic() - began
        record_property("seconds", took)
        print(f"{kind}: ended {took:.3f} s after the revocation, {ended.value.code()}")
        assert ended.value.code() != grpc.StatusCode.DEADLINE_EXCEEDED
        assert took < 15
        # What another token opened goes on.
        assert neighbour.is_active()
    finally:
        done.set()
        neighbour.cancel()
