"""sslyze finds nothing: versions, ciphers, curves, renegotiation, compression, early data, resumption, and the attacks that have names."""

import json
import os
import pathlib
import subprocess

import pytest
from conftest import ROOT, Gateway, Upstream

# The scanner's environment is made by scripts/test; it wants another cryptography than the other clients.
PYTHON = pathlib.Path(os.environ.get("HUBGATE_SSLYZE") or ROOT / ".cache" / "sslyze") / "bin" / "python"
KEYS = {"ecdsa": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"], "rsa": ["-newkey", "rsa:2048"]}


def certificate(folder: pathlib.Path, kind: str) -> None:
    """An authority, and a certificate of it as public ones are: 90 days, for one name."""

    def openssl(*arguments: object) -> None:
        subprocess.run(["openssl", *map(str, arguments)], cwd=folder, capture_output=True, check=True)

    openssl("req", "-x509", *KEYS[kind], "-nodes", "-sha256", "-days", "365", "-subj", "/CN=Test authority", "-keyout", "ca.key", "-out", "ca.pem",
            "-addext", "keyUsage=critical,keyCertSign,cRLSign", "-addext", "basicConstraints=critical,CA:true")  # fmt: skip
    openssl("req", *KEYS[kind], "-nodes", "-subj", "/CN=localhost", "-keyout", "key.pem", "-out", "request.pem")
    (folder / "extensions").write_text(
        "subjectAltName=DNS:localhost\nbasicConstraints=critical,CA:false\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth\n"
        "authorityKeyIdentifier=keyid\nsubjectKeyIdentifier=hash\n"
    )
    openssl("x509", "-req", "-in", "request.pem", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-sha256", "-days", "90",
            "-extfile", "extensions", "-out", "leaf.pem")  # fmt: skip
    (folder / "key.pem").chmod(0o600)


@pytest.mark.parametrize("kind", KEYS)
def test_a_scanner_finds_nothing(tmp_path, kind):
    certificate(tmp_path, kind)
    upstream = Upstream()
    gateway = Gateway(tmp_path, upstream, limits='\n[tls]\ncertificate = "leaf.pem"\nprivate_key = "key.pem"\n')
    try:
        done = subprocess.run(
            [PYTHON, "-m", "sslyze", "--mozilla_config=intermediate", "--early_data", "--resum", f"--certinfo_ca_file={tmp_path / 'ca.pem'}",
             f"--json_out={tmp_path / 'scan.json'}", gateway.url.removeprefix("https://")],
            capture_output=True, text=True, timeout=120, check=False, env={**os.environ, "PYTHONWARNINGS": "ignore"},
        )  # fmt: skip
    finally:
        assert gateway.stop() == 0, gateway.output()
        upstream.close()
    assert "Compliant." in done.stdout, done.stdout + done.stderr
    assert done.returncode == 0, done.stdout
    results = json.loads((tmp_path / "scan.json").read_text())["server_scan_results"][0]["scan_result"]

    def of(command: str) -> dict:
        assert results[command]["status"] == "COMPLETED", (command, results[command])
        return results[command]["result"]

    for version in ("ssl_2_0", "ssl_3_0", "tls_1_0", "tls_1_1"):
        assert of(f"{version}_cipher_suites")["accepted_cipher_suites"] == [], version
    for version in ("tls_1_2", "tls_1_3"):
        accepted = [suite["cipher_suite"]["name"] for suite in of(f"{version}_cipher_suites")["accepted_cipher_suites"]]
        assert len(accepted) == 3, accepted
        assert all("GCM" in name or "POLY1305" in name for name in accepted), accepted
        assert version == "tls_1_3" or all(name.startswith("TLS_ECDHE_") for name in accepted), accepted
    assert not of("tls_compression")["supports_compression"]
    assert not of("tls_1_3_early_data")["supports_early_data"]
    assert not of("heartbleed")["is_vulnerable_to_heartbleed"]
    assert not of("openssl_ccs_injection")["is_vulnerable_to_ccs_injection"]
    assert of("robot")["robot_result"].startswith("NOT_VULNERABLE")
    assert of("session_renegotiation")["supports_secure_renegotiation"]
    assert not of("session_renegotiation")["is_vulnerable_to_client_renegotiation_dos"]
    assert of("tls_fallback_scsv")["supports_fallback_scsv"]
    assert of("tls_extended_master_secret")["supports_ems_extension"]
    assert of("session_resumption")["session_id_resumption_result"] == "FULLY_SUPPORTED"
