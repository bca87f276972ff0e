"""What starts a driver again when it fails must not start one whose sweep has its verdict."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from gatesweep.cli import job
from gatesweep.errors import EXIT_INTERRUPTED, EXIT_OK, EXIT_USER, EXIT_VERDICT, StorageAway


@pytest.mark.parametrize("verdict", [EXIT_OK, EXIT_VERDICT, EXIT_INTERRUPTED])
def test_a_sweep_that_has_ended_is_no_failure_to_what_supervises_its_driver(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], verdict: int
) -> None:
    ended = SimpleNamespace(exit_code=verdict, as_dict=lambda: {"sweep_id": "toy-1"})
    monkeypatch.setattr(job, "_conduct", lambda given, spec: ended)
    for words, code in ((["sweep.yaml"], verdict), (["sweep.yaml", "--supervised"], EXIT_OK)):
        with pytest.raises(SystemExit) as left:
            job.sweep(words)
        assert left.value.code == code
    assert capsys.readouterr().out.count("toy-1") == 2


def test_a_driver_that_could_not_go_on_still_fails_and_is_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(given: object, spec: object) -> None:
        raise StorageAway("does not answer", place="s3://b")

    monkeypatch.setattr(job, "_conduct", away)
    with pytest.raises(SystemExit) as left:
        job.sweep(["sweep.yaml", "--supervised"])
    assert left.value.code == EXIT_USER
