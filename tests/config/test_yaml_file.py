"""YAML without its guesses."""

from pathlib import Path

import pytest
import yaml

from gatesweep.config.yaml_file import parse, read_mapping
from gatesweep.errors import ConfigError


def test_scalars_stay_the_text_they_were():
    assert parse("{a: 1e-4, b: no, c: 0o17, d: 2020-01-01, e: 1_000}", "x") == {
        "a": "1e-4",
        "b": "no",
        "c": "0o17",
        "d": "2020-01-01",
        "e": "1_000",
    }


@pytest.mark.parametrize("text", ["null", "~", "Null", ""])
def test_only_a_plain_null_is_none(text):
    assert parse(f"a: {text}", "x") == {"a": None}
    assert parse("a: 'null'", "x") == {"a": "null"}


def test_a_key_given_twice_is_refused_with_its_line():
    with pytest.raises(ConfigError) as error:
        parse("a: 1\nb: 2\na: 3\n", "file.yaml")
    assert "'a' is given twice" in str(error.value)
    assert "file.yaml:3" in str(error.value)


def test_a_bomb_of_aliases_is_refused_quickly():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    with pytest.raises(ConfigError, match="expands"):
        parse("\n".join(lines), "bomb.yaml")


def test_an_alias_to_itself_is_refused():
    with pytest.raises(ConfigError):
        parse("a: &a [*a]", "loop.yaml")


def test_an_ordinary_alias_is_understood():
    assert parse("a: &x {b: 1}\nc: *x", "f") == {"a": {"b": "1"}, "c": {"b": "1"}}


@pytest.mark.parametrize("text", ["!!python/object/apply:os.system ['true']", "!!python/name:os.system x"])
def test_python_objects_are_refused(text):
    with pytest.raises(ConfigError):
        parse(f"a: {text}", "evil.yaml")


def test_a_missing_file_names_its_neighbours(tmp_path: Path):
    (tmp_path / "traffic.yaml").write_text("task: forecasting")
    with pytest.raises(ConfigError) as error:
        read_mapping(tmp_path / "trafic.yaml")
    assert "no such file" in str(error.value)
    assert "traffic.yaml" in (error.value.hint or "")


@pytest.mark.parametrize(
    "content", [b"", b"- a\n- b\n", b"just text", b"\xff\xfe\x00", b"a: [1,\n", b"x" * (1 << 20) + b": 1"]
)
def test_what_is_no_configuration_is_refused_with_its_file(tmp_path: Path, content: bytes):
    file = tmp_path / "f.yaml"
    file.write_bytes(content)
    with pytest.raises(ConfigError) as error:
        read_mapping(file)
    assert str(file) in str(error.value)


def test_the_loader_itself_is_a_safe_one():
    from gatesweep.config import yaml_file

    assert issubclass(yaml_file._TextLoader, yaml.SafeLoader)


@pytest.mark.parametrize("key", ["[a, b]", "{a: b}"])
def test_a_key_that_is_no_word_is_refused_with_its_line(key: str) -> None:
    with pytest.raises(ConfigError, match="here:2: a key is a word"):
        parse(f"x: 1\n? {key}\n: 2\n", "here")
