"""Letters by way of a mail server that nobody here wrote: STARTTLS, authentication, and what people do with the links."""

import datetime
import email
import email.policy
import ipaddress
import ssl
import time

import pytest
import requests
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from conftest import PASSWORD, Gateway, Upstream, free_ports
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

MAIL_PASSWORD = "of the mail server"
NEW = "another password of eve"


class Box:
    """Keeps what comes."""

    def __init__(self):
        self.letters = []

    async def handle_DATA(self, server, session, envelope):
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        self.letters.append((envelope.rcpt_tos, message, session.ssl is not None, session.authenticated))
        return "250 kept"

    def next(self):
        end = time.monotonic() + 30
        while not self.letters and time.monotonic() < end:
            time.sleep(0.02)
        assert self.letters, "no letter within thirty seconds"
        return self.letters.pop(0)


def certificate(folder):
    """A certificate for 127.0.0.1, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mail")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .sign(key, hashes.SHA256())
    )
    (folder / "mail.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "mail.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "mail.pem", folder / "mail.key")
    return context


def authenticate(server, session, envelope, mechanism, data):
    known = isinstance(data, LoginPassword) and data.login == b"gate" and data.password == MAIL_PASSWORD.encode()
    return AuthResult(success=known)


@pytest.fixture
def mailing(tmp_path):
    """A gateway that sends by aiosmtpd."""
    box = Box()
    (port,) = free_ports(1)
    controller = Controller(
        box,
        hostname="127.0.0.1",
        port=port,
        tls_context=certificate(tmp_path),
        require_starttls=True,
        auth_required=True,
        authenticator=authenticate,
    )
    controller.start()
    upstream = Upstream()
    mail = f"""
[mail]
from = "The Gate <gate@example.org>"
host = "127.0.0.1"
port = {port}
ca = "mail.pem"
username = "gate"
password = "{MAIL_PASSWORD}"
"""
    try:
        gateway = Gateway(tmp_path, upstream, limits=mail)
        yield gateway, box
        assert gateway.stop() == 0, gateway.output()
    finally:
        upstream.close()
        controller.stop()


def test_a_password_is_restored_by_way_of_a_real_server(mailing):
    gateway, box = mailing
    session = requests.Session()
    session.trust_env = False
    session.verify = str(gateway.certificate)
    users = f"{gateway.issuer}/api/rest/users"
    body = {"login": "eve", "password": PASSWORD, "profile": {"email": {"email": "eve@example.org"}}}
    assert session.post(users, json=body, auth=("root", PASSWORD), timeout=30).status_code == 200

    restore = f"{gateway.issuer}/auth/restore"
    german = {"Accept-Language": "de"}
    answer = session.post(restore, data={"username": "eve"}, headers=german, timeout=30)
    assert answer.status_code == 200 and "unterwegs" in answer.text
    to, letter, encrypted, authenticated = box.next()
    assert (to, encrypted, authenticated) == (["eve@example.org"], True, True)
    assert letter["Subject"].startswith("Neues Passwort für localhost:")
    assert letter["From"] == "The Gate <gate@example.org>"
    assert letter["Auto-Submitted"] == "auto-generated"
    links = [line for line in letter.get_content().splitlines() if "://" in line]
    assert len(links) == 1 and links[0].startswith(f"{gateway.issuer}/auth/link?token=hgl_"), links
    chosen = {"newPassword": NEW, "newPasswordAgain": NEW}
    answer = session.post(links[0], data=chosen, allow_redirects=False, timeout=30)
    assert answer.status_code == 303 and "hub-password-set" in answer.headers["location"]
    assert box.next()[1]["Subject"].startswith("Your password for")
    me = f"{users}/me"
    assert session.get(me, auth=("eve", NEW), timeout=30).json()["login"] == "eve"
    assert session.get(me, auth=("eve", PASSWORD), timeout=30).status_code == 401
    assert session.get(links[0], timeout=30).status_code == 410
    assert "hgl_" not in gateway.output() and "eve@" not in gateway.output()


def test_a_server_that_cannot_be_trusted_gets_nothing(mailing):
    gateway, box = mailing
    text = (gateway.folder / "gateway.toml").read_text()
    # The system's certificates, which know nothing of this server.
    (gateway.folder / "gateway.toml").write_text(text.replace('ca = "mail.pem"\n', ""))
    answer = requests.post(
        f"{gateway.issuer}/api/rest/users",
        json={"login": "eve", "password": PASSWORD, "profile": {"email": {"email": "eve@example.org"}}},
        auth=("root", PASSWORD),
        verify=gateway.certificate,
        timeout=30,
    )
    assert answer.status_code == 200
    # It notices by itself.
    end = time.monotonic() + 30
    while "configuration taken up" not in gateway.output() and time.monotonic() < end:
        time.sleep(0.05)
    assert "configuration taken up" in gateway.output()
    requests.post(
        f"{gateway.issuer}/auth/restore", data={"username": "eve"}, verify=gateway.certificate, timeout=10
    )
    end = time.monotonic() + 30
    while "could not be sent" not in gateway.output() and time.monotonic() < end:
        time.sleep(0.05)
    assert "could not be sent" in gateway.output() and not box.letters
