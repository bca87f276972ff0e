"""A secret is named by its place and read where it is needed; its value stands in no message."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gatesweep.config import credentials
from gatesweep.config.secrets import Reference, refuse_values, resolve, resolve_what_is_here, value_of
from gatesweep.errors import ConfigError

VALUE = "hunter2-hunter2"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.write_text(f"{VALUE}\n")
    return path


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", dict(os.environ))


def test_a_secret_of_a_file_is_its_content_without_the_last_newline(file: Path) -> None:
    resolve({"MINE": {"file": str(file)}})
    assert os.environ["MINE"] == VALUE


def test_a_secret_of_a_variable_is_that_variables_value() -> None:
    os.environ["TEAM"] = VALUE
    resolve({"MINE": {"env": "TEAM"}})
    assert os.environ["MINE"] == VALUE


@pytest.mark.parametrize(("reference", "message"), [
    ({"file": "/nowhere/key"}, "secrets.MINE: /nowhere/key cannot be read on this machine: No such file or directory"),
    ({"env": "NOT_SET_HERE"}, "secrets.MINE: the variable NOT_SET_HERE is not set on this machine"),
])
def test_a_missing_secret_is_named_and_none_of_the_others_is_put_in(
    file: Path, reference: dict[str, str], message: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        resolve({"OTHER": {"file": str(file)}, "MINE": reference})
    assert message in str(refused.value)
    assert "OTHER" not in os.environ
    assert VALUE not in str(refused.value)


def test_a_machine_that_lacks_some_gets_the_rest_and_hears_which(file: Path) -> None:
    assert resolve_what_is_here({"A": {"file": str(file)}, "B": {"env": "NOT_SET_HERE"}}) == ["B"]
    assert (os.environ["A"], "B" in os.environ) == (VALUE, False)


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe\x00"])
def test_a_file_without_text_is_no_secret(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "key").write_bytes(content)
    with pytest.raises(ConfigError, match=r"is empty or no text|it is no text"):
        value_of({"file": str(tmp_path / "key")}, "secrets.MINE")


@pytest.mark.parametrize("secrets", [{"MINE": VALUE}, {"MINE": [VALUE]}, {"MINE": {"value": VALUE}}, VALUE, [VALUE]])
def test_a_value_where_a_reference_belongs_is_refused_and_not_repeated(secrets: object) -> None:
    with pytest.raises(ConfigError) as refused:
        refuse_values(secrets, "cluster.yaml")
    assert VALUE not in str(refused.value)
    assert refused.value.hint
    assert "/run/secrets/" in refused.value.hint


@pytest.mark.parametrize("fields", [{}, {"file": "x", "env": "X"}, {"env": "no name"}])
def test_a_reference_names_exactly_one_place(fields: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"names one place|no name of a variable"):
        Reference(**fields)


@pytest.mark.parametrize(("address", "secret"), [
    ("https://me:pw@host", True), ("https://token@host/x", True), ("postgresql://me:pw@host/db", True),
    ("s3://bucket/x?X-Amz-Signature=abc", True), ("https://host/?access_token=abc", True), ("https://h/?sig=1", True),
    ("https://host:5000", False), ("s3://bucket/prefix", False), ("ssh://me@host/dvc", False), ("/mnt/a@b", False),
    ("postgresql://me@host/db", False), ("https://host/?page=2", False),
])
def test_credentials_in_an_address_are_recognised(address: str, secret: bool) -> None:
    assert credentials.has_credentials(address) is secret
    assert "pw" not in credentials.public(address)


@pytest.mark.parametrize(("name", "secret"), [
    ("AWS_SECRET_ACCESS_KEY", True), ("MLFLOW_TRACKING_TOKEN", True), ("DB_PASSWORD", True), ("OPENAI_API_KEY", True),
    ("PGPASSWORD", True), ("AWS_ACCESS_KEY_ID", False), ("TOKENIZERS_PARALLELISM", False),
    ("RAY_AUTH_TOKEN_PATH", False), ("GOOGLE_APPLICATION_CREDENTIALS", False), ("OMP_NUM_THREADS", False),
])
def test_variables_that_sound_secret_are_refused_by_their_names(name: str, secret: bool) -> None:
    try:
        credentials.refuse_credentials(f"environment.{name}", VALUE, "cluster.yaml")
        refused = ""
    except ConfigError as error:
        refused = str(error)
    assert bool(refused) is secret
    assert VALUE not in refused
