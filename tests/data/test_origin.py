"""Origins: what dvc pushed comes back from any address, without dvc, in bounded time, with no secret told."""

from __future__ import annotations

import functools
import http.server
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fsspec
import pytest
from remotes import FILES, contents, copy_of, objects_in, put, put_set

from gatesweep.data import origin, pins, store
from gatesweep.data.node import NodeCache, Pinned
from gatesweep.data.origin import FirstOf, Origin, RemoteOrigin
from gatesweep.errors import DataError, OriginError


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    return tmp_path / "remote"


@contextmanager
def serving(handler: Any) -> Iterator[str]:
    """An HTTP server of this process; gives `host:port`."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Files of a folder."""

    def log_message(self, *_: Any) -> None:
        """Nothing."""


class Grumpy(Quiet):
    """Answers by the first part of the path: a status, or `hang` after half of what was promised."""

    def do_GET(self) -> None:
        answer = self.path.split("/")[1]
        if answer.isdigit():
            self.send_error(int(answer))
            return
        self.send_response(200)
        self.send_header("Content-Length", "100")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(b"x" * 50)
            self.wfile.flush()
            time.sleep(5)

    do_HEAD = do_GET


def test_what_dvc_pushed_into_a_folder_lies_on_a_node_as_it_was(cached_wheel: Any, remote: Path,
                                                                tmp_path: Path) -> None:
    repository, own = cached_wheel.root, tmp_path / "repo/own"
    for path, data in FILES.items():
        (own / path).parent.mkdir(parents=True, exist_ok=True)
        (own / path).write_bytes(data)
    cached_wheel.dvc("add", "-q", "own")
    cached_wheel.dvc("remote", "add", "-q", "--local", "-d", "shelf", str(remote))
    cached_wheel.dvc("push", "-q", "own.dvc")
    pinned = Pinned(cached_wheel.run("sed", "-n", "s/- md5: //p", "own.dvc").strip())
    assert pinned == Pinned(put_set(tmp_path / "by-hand").md5)  # the tests' own remotes are laid out as DVC's
    address = store.remote_address(repository)
    assert address == str(remote)
    assert contents(NodeCache(tmp_path / "node", RemoteOrigin(address), pinned={"own": pinned})("own").path) == FILES


def test_a_relative_remote_of_dvc_becomes_an_address_that_holds_anywhere(world: Any, tmp_path: Path,
                                                                         monkeypatch: pytest.MonkeyPatch) -> None:
    assert store.remote_address(world.root) is None
    world.dvc("remote", "add", "-q", "-d", "shelf", "../shelf")
    assert "url = ../../shelf" in (world.root / ".dvc/config").read_text()
    monkeypatch.chdir("/")
    assert store.remote_address(world.root) == str(tmp_path / "shelf")


@pytest.mark.parametrize("kind", ["path", "relative", "file", "memory", "http", "slash"])
def test_every_kind_of_address_delivers_the_same_bytes(kind: str, remote: Path, tmp_path: Path,
                                                       monkeypatch: pytest.MonkeyPatch) -> None:
    pinned = put_set(remote, {**FILES, "big.bin": bytes(range(256)) * 40_000})
    monkeypatch.chdir(tmp_path)
    with serving(functools.partial(Quiet, directory=str(tmp_path))) as host:
        if kind == "memory":
            fsspec.filesystem("memory").put(str(remote), "/shelf/a", recursive=True)
        url = {"path": str(remote), "relative": "remote", "file": f"file://{remote}", "memory": "memory://shelf/a",
               "http": f"http://{host}/remote", "slash": f"{remote}/"}[kind]
        asked = RemoteOrigin(url)
        monkeypatch.chdir("/")
        got = contents(NodeCache(tmp_path / "node", asked, pinned={"toy": pinned})("toy").path)
    assert got == {**FILES, "big.bin": bytes(range(256)) * 40_000}
    assert objects_in(tmp_path / "node") == {path.parent.name + path.name: path.read_bytes()
                                             for path in (remote / "files/md5").glob("??/*")}


def test_an_object_that_is_not_there_is_named_at_once(remote: Path, tmp_path: Path) -> None:
    put(remote, b"something else")
    with serving(functools.partial(Quiet, directory=str(tmp_path))) as host:
        for url in (str(remote), f"http://{host}/remote", "memory://nothing"):
            with pytest.raises(DataError, match=f"does not hold {'a' * 32}") as caught:
                RemoteOrigin(url).fetch("a" * 32, tmp_path / "target")
            assert not isinstance(caught.value, OriginError)
            assert url in str(caught.value)
            assert "dvc push" in str(caught.value)


@pytest.mark.parametrize(("path", "kind", "told"), [("403", DataError, "refuses"), ("401", DataError, "refuses"),
                                                   ("500", OriginError, "did not deliver")])
def test_an_answer_that_is_no_object_is_one_error_without_the_credentials(path: str, kind: type[DataError], told: str,
                                                                          tmp_path: Path) -> None:
    with serving(Grumpy) as host:
        asked = RemoteOrigin(f"http://ann:pass-word@{host}/{path}?signature=secret", attempts=1)
        with pytest.raises(DataError, match=told) as caught:
            asked.fetch("a" * 32, tmp_path / "target")
    assert type(caught.value) is kind
    assert f"http://{host}/{path}" in str(caught.value)
    for secret in ("ann", "pass-word", "secret"):
        assert secret not in f"{caught.value}{asked.address}"
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_an_origin_that_hangs_is_given_up_on_in_bounded_time(tmp_path: Path) -> None:
    began = time.monotonic()
    with serving(Grumpy) as host:
        with pytest.raises(OriginError, match="did not deliver"):
            RemoteOrigin(f"http://{host}/hang", stall_s=0.3, attempts=1).fetch("a" * 32, tmp_path / "target")
        assert time.monotonic() - began < 4


def test_a_library_without_time_outs_of_its_own_is_given_up_on_too(tmp_path: Path,
                                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(origin, "open_url", lambda url, stall_s: time.sleep(5))
    began = time.monotonic()
    with pytest.raises(OriginError, match=r"nothing came for 0\.2 s"):
        RemoteOrigin("gs://bucket/shelf", stall_s=0.2, attempts=1).fetch("a" * 32, tmp_path / "target")
    assert time.monotonic() - began < 2


def test_an_origin_that_comes_back_is_asked_again(remote: Path, tmp_path: Path,
                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    md5, real, calls = put(remote, b"12"), origin.open_url, []

    def flaky(url: str, stall_s: float) -> Any:
        calls.append(url)
        if len(calls) < 3:
            raise ConnectionResetError("reset by peer")
        return real(url, stall_s)

    monkeypatch.setattr(origin, "open_url", flaky)
    monkeypatch.setattr(origin, "PAUSE_S", 0.01)
    RemoteOrigin(str(remote)).fetch(md5, tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == b"12"
    assert len(calls) == 3


def test_a_port_where_nobody_listens_is_an_origin_that_does_not_answer(tmp_path: Path,
                                                                      monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(origin, "PAUSE_S", 0.01)
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{held.getsockname()[1]}/shelf"
        with pytest.raises(OriginError, match="did not deliver") as caught:
            RemoteOrigin(url).fetch("a" * 32, tmp_path / "target")
    assert url in str(caught.value)


def test_the_first_of_several_origins_that_delivers_does_and_all_errors_are_told(remote: Path, tmp_path: Path) -> None:
    md5, empty = put(remote, b"12"), tmp_path / "empty"
    several: list[Origin] = [RemoteOrigin(str(empty)), RemoteOrigin(str(remote))]
    FirstOf(several).fetch(md5, tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == b"12"
    with pytest.raises(DataError, match="no origin delivered") as caught:
        FirstOf(several).fetch("b" * 32, tmp_path / "target")
    assert str(empty) in str(caught.value)
    assert str(remote) in str(caught.value)


def test_a_library_that_is_not_installed_is_named_with_the_remedy(tmp_path: Path,
                                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(DataError, match="s3fs") as caught:
        RemoteOrigin("s3://bucket/shelf").fetch("a" * 32, tmp_path / "target")
    assert "gatesweep[s3]" in str(caught.value)


def test_a_worker_that_cannot_import_dvc_has_its_data(remote: Path, tmp_path: Path) -> None:
    pinned = put_set(remote)
    worker = textwrap.dedent(f"""
        import sys

        class Blocked:
            def find_spec(self, name, path=None, target=None):
                if name.split(".")[0] in ("dvc", "dvc_data", "dvc_objects", "dvc_s3", "scmrepo"):
                    raise ImportError(f"a worker imports {{name}}")

        sys.meta_path.insert(0, Blocked())
        from pathlib import Path
        from gatesweep.sweep.node_data import Pinned, install
        install({str(remote)!r}, None, Path({str(tmp_path / "node")!r}), pinned={{"toy": Pinned({pinned.md5!r})}})
        from gatesweep.data.fetch import ensure
        import gatesweep.data.readers, gatesweep.data.store
        print(ensure("toy").path)
    """)
    done = subprocess.run([sys.executable, "-c", worker], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert contents(Path(done.stdout.strip())) == FILES


@pytest.mark.services
def test_what_dvc_pushed_to_s3_lies_on_a_node_as_it_was(s3: str, cached_wheel: Any, tmp_path: Path,
                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    own = cached_wheel.root / "own"
    own.mkdir()
    files = {"a.csv": b"1,2\n", "big.bin": bytes(range(256)) * 100_000}
    for path, data in files.items():
        (own / path).write_bytes(data)
    cached_wheel.dvc("add", "-q", "own")
    cached_wheel.dvc("remote", "add", "-q", "--local", "-d", "shelf", s3)
    cached_wheel.dvc("push", "-q", "own.dvc")
    md5 = pins.digest_of(pins.md5s_in(own))
    assert store.remote_address(cached_wheel.root) == s3
    asked = RemoteOrigin(s3)
    assert contents(NodeCache(tmp_path / "node", asked, pinned={"own": Pinned(md5)})("own").path) == files
    with pytest.raises(DataError, match=f"does not hold {'a' * 32}"):
        asked.fetch("a" * 32, tmp_path / "target")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-wrong-secret")
    with pytest.raises(DataError, match="refuses to give") as caught:
        asked.fetch(md5, tmp_path / "target")
    assert "a-wrong-secret" not in str(caught.value)
    assert s3 in str(caught.value)


@pytest.mark.services
def test_an_s3_that_does_not_answer_is_given_up_on_in_bounded_time(s3: str, tmp_path: Path,
                                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as silent:  # accepts, says nothing
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        began = time.monotonic()
        with pytest.raises(OriginError, match="did not deliver"):
            RemoteOrigin(s3, stall_s=1, attempts=1).fetch("a" * 32, tmp_path / "target")
        assert time.monotonic() - began < 15


def test_a_copy_of_a_remote_serves_as_well(remote: Path, tmp_path: Path) -> None:
    pinned = put_set(remote)
    copied = RemoteOrigin(str(copy_of(remote, tmp_path / "elsewhere")))
    assert contents(NodeCache(tmp_path / "node", copied, pinned={"toy": pinned})("toy").path) == FILES
