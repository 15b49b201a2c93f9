"""The tables of attacks against hubgate, nginx and HAProxy with one client and one judge (attacks.py): hubgate does what its tables say, the
peers are set up rightly, and what both let through is known, for a case that every peer fails may be a wrong case."""

import attacks
import peers
import pytest

# What both peers hand on, as they were configured by people who know no better, and why it is an attack all the same.
STRICTER_THAN_BOTH = {
    # Servers on Windows, Tomcat and whoever decodes twice read these as /admin.
    "P4 /public/..%5cadmin",
    "P4 /public/..%5Cadmin",
    "P4 /public/%5c../admin",
    "P5 /public/%252e%252e/admin",
    "P5 /public/%252E%252E/admin",
    "P5 /public/..%252fadmin",
    "P6 /public/..;/admin",
    "P13 /public/%c0%ae%c0%ae/",
}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    there = {name: kind for name, kind in attacks.PROXIES.items() if name == "hubgate" or peers.program(name)}
    return {name: attacks.control(kind, tmp_path_factory.mktemp(name)) for name, kind in there.items()}


def labels(results: attacks.Results, verdict: str) -> set[str]:
    return {attacks.label(case) for cases in results.values() for case, how in cases if how == verdict}


def test_the_tables_are_whole():
    found = attacks.tables()
    assert len(found) >= 13, sorted(found)
    assert sum(map(len, found.values())) > 450


def test_hubgate_does_what_its_tables_say(results):
    assert labels(results["hubgate"], attacks.OTHER) == set()
    assert labels(results["hubgate"], attacks.THROUGH) == set()


@pytest.mark.parametrize("name", ["nginx", "haproxy"])
def test_the_controls_pass_a_peer_too(results, name):
    if name not in results:
        pytest.skip(f"{name} is not there")
    innocent = 0
    for table, cases in results[name].items():
        for case, verdict in cases:
            # HAProxy and nginx keep the case of escapes as they came.
            if case["name"] == "control" and "%" not in case.get("target", "") or table.startswith("framing.") and case["want"].startswith("Forwarded"):
                innocent += 1
                assert verdict == attacks.SAME, f"{table}: {attacks.label(case)}"
    assert innocent > 15


def test_what_both_peers_let_through_is_known(results):
    if not {"nginx", "haproxy"} <= set(results):
        pytest.skip("nginx or HAProxy is not there")
    assert labels(results["nginx"], attacks.THROUGH) & labels(results["haproxy"], attacks.THROUGH) == STRICTER_THAN_BOTH
