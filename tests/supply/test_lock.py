"""What is installed is what the lock says, under licences that are admitted, and its advisories are asked for."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import audit
import licences
import pytest
from packaging.utils import canonicalize_name

EVERYTHING = licences.installed()


def locked(root: Path) -> dict[str, str]:
    lines = (root / "constraints.txt").read_text().splitlines()
    return {canonicalize_name(name): version for name, version in (
        line.split("==") for line in lines if line and not line.startswith("#"))}  # fmt: skip


def test_every_package_that_is_asked_for_is_installed_as_locked(root: Path) -> None:
    lock = locked(root)
    # a CUDA build of torch brings its own
    asked = [each for each in EVERYTHING if not each.name.startswith(("nvidia-", "cuda-"))]
    assert len(asked) > 200
    assert [(each.name, each.version) for each in asked if lock.get(each.name) != each.version] == []


def test_every_licence_is_permissive_or_explained() -> None:
    assert [(each.name, each.licence) for each in EVERYTHING if not each.allowed] == []
    names = {each.name for each in EVERYTHING}
    assert set(licences.EXPLAINED) | set(licences.SAID_ELSEWHERE) <= names, "explained, and not there"


@pytest.mark.parametrize(("licence", "allowed"), [
    ("MIT", True), ("Apache-2.0 OR GPL-2.0-or-later", True), ("MPL-2.0 AND (Apache-2.0 OR MIT)", True),
    ("GPL-3.0-only", False), ("MIT AND AGPL-3.0-only", False), ("unknown", False), ("Commercial, see the web", False),
])
def test_an_expression_is_admitted_where_one_may_go_by_permissive_licences_alone(licence: str, allowed: bool) -> None:
    assert licences.Package("some", "1", licence, runtime=True).allowed is allowed


def test_the_page_of_licences_is_current(root: Path) -> None:
    """Row by row: another Python, or another build of torch, has packages that the page's maker had not."""
    page = (root / "docs" / "licences.md").read_text()
    here = {licences.row(each) for each in EVERYTHING if each.name in locked(root)}
    assert here - set(page.splitlines()) == set(), "make licences"
    rows = re.findall(r"^\| ([\w.-]+) \| ([\w.]+) \| [^|]+ \| (?:test)? \|$", page, re.MULTILINE)
    assert dict(rows).items() <= locked(root).items()
    assert len(rows) > 200


@pytest.fixture
def advisories() -> Iterator[str]:
    """OSV's interface, which knows of one vulnerability: in numpy 1.0."""

    class Service(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            known = asked["package"]["name"] == "numpy" and asked["version"] == "1.0"
            ranges = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.1"}]}]
            affected = [{"package": {"name": "numpy", "ecosystem": "PyPI"}, "ranges": ranges}]
            one = {"id": "PYSEC-2026-1", "summary": "planted", "details": "planted", "affected": affected}
            body = json.dumps({"vulns": [one]} if known else {}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words: object) -> None:
            """Nothing."""

    server = HTTPServer(("127.0.0.1", 0), Service)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1/query"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(("lock", "code", "said"), [
    ("numpy==2.0\nray==2.60.0\n", 0, "audited: 2 packages, 0 advisories"),
    ("numpy==1.0\nray==2.60.0\n", 1, "numpy 1.0: PYSEC-2026-1, mended in 1.1"),
])
def test_the_audit_ends_by_what_the_service_knows(
        advisories: str, tmp_path: Path, capfd: pytest.CaptureFixture[str], lock: str, code: int, said: str) -> None:
    (tmp_path / "lock.txt").write_text(lock)
    assert audit.main([str(tmp_path / "lock.txt"), "--service", advisories]) == code
    assert said in capfd.readouterr().out


def test_an_audit_without_an_answer_is_called_none(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "lock.txt").write_text("numpy==2.0\n")
    words = [str(tmp_path / "lock.txt"), "--service", "http://127.0.0.1:9/v1/query"]
    assert audit.main(words) == 2
    assert audit.main([*words, "--if-reachable"]) == 0
    assert capfd.readouterr().out.count("NOT AUDITED: http://127.0.0.1:9/v1/query does not answer") == 2
