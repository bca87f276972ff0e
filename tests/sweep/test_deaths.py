"""What Ray says of a dead worker is read from its words alone."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from ray import exceptions as ray

from gatesweep.sweep.deaths import as_actor_error, from_words, words_of

LOW = "1 worker(s) were killed due to the node running low on memory"
NODE = "ab" * 28


def _task(*lines: str) -> str:
    head = "ray::ImplicitFunc.train() (pid=7, ip=192.0.2.1, actor_id=05, repr=train_trial)"
    step = '  File "/x/site-packages/ray/tune/trainable/trainable.py", line 329, in train'
    return "\n".join([head, step, "    raise skipped from exception_cause(skipped)", *lines])


MINE = ('  File "/home/me/project/task.py", line 12, in step', "    raise ValueError(text)")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ray.OutOfMemoryError(LOW), "out_of_memory"),
        (ray.NodeDiedError("the node died"), "node_lost"),
        (ray.ActorUnavailableError("Socket closed rpc_code: 14", b"\x01" * 16), "node_lost"),
        (ray.ActorUnavailableError("Socket closed rpc_code: 14", None), "node_lost"),
        (ray.ActorDiedError(), "crash"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else value,
)
def test_rays_own_errors_are_known_by_what_they_say(error: Exception, kind: str) -> None:
    assert isinstance(as_actor_error(error), ray.RayActorError), "Tune ends the run at any other"
    assert from_words(str(as_actor_error(error))).kind == kind


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (f"The actor died unexpectedly.\nThe actor died because its node has died. Node Id: {NODE}", "node_lost"),
        (f"Node Id: {NODE}\n\tthe actor's node was preempted: spot", "node_lost"),
        ("Worker exit type: SYSTEM_ERROR … End of file", "crash"),
        ("", "crash"),
        ("The actor died because of an error raised in its creation task, ray::ImplicitFunc()\nKeyError: 1", "crash"),
    ],
)
def test_words_of_a_dead_actor_are_recognised(said: str, kind: str) -> None:
    assert from_words(said).kind == kind


def test_node_and_address_are_those_of_the_last_report_or_of_the_message() -> None:
    said = f"died.\n\tip: 192.0.2.7\nits node has died. Node Id: {NODE} other"
    assert (from_words(said).node, from_words(said).host) == (NODE, "192.0.2.7")
    assert (from_words(said, "n", "h").node, from_words(said, "n", "h").host) == ("n", "h")
    assert from_words(_task(*MINE, "ValueError: no")).host == "192.0.2.1"


@pytest.mark.parametrize(
    ("last", "kind", "policy"),
    [
        ("ValueError: no", "user_code", "counted"),
        ("project.task.Strange", "user_code", "counted"),
        ("gatesweep.errors.NotFinite: the loss is nan", "nan", "fail"),
        ("gatesweep.errors.TrialFailed: hopeless", "user_code", "fail"),
        ("gatesweep.errors.StorageAway: s3://b: no answer", "node_lost", "free"),
        ("gatesweep.errors.DataError: altered", "bad_data", "exclude_node"),
        ("OSError: [Errno 28] No space left on device: '/scratch/x'", "bad_data", "exclude_node"),
        ("OSError: [Errno 2] No such file: '/x'", "user_code", "counted"),
        ("MemoryError", "out_of_memory", "counted"),
        ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB", "out_of_memory", "counted"),
    ],
)
def test_an_exception_that_left_an_attempt_means_what_it_means_in_a_worker(last: str, kind: str, policy: str) -> None:
    death = from_words(_task(*MINE, last))
    assert (death.kind, death.policy) == (kind, policy)
    assert bool(death.trace) == (kind == "user_code" and policy == "counted")


def test_the_same_mistake_has_the_same_digest_whatever_its_values_and_another_place_another() -> None:
    one, two = (from_words(_task(*MINE, f"ValueError: {value}\nand a second line")) for value in (1, 2))
    moved = from_words(_task(MINE[0].replace("12", "13"), MINE[1], "ValueError: 1"))
    elsewhere = from_words(_task(MINE[0].replace("/home/me", "/srv"), MINE[1], "ValueError: 1"))
    assert one.trace == two.trace == elsewhere.trace != moved.trace
    assert one.reason.startswith("ValueError: 1\n")
    assert 'task.py", line 12, in step' in one.reason


def test_only_the_newest_words_of_tunes_file_count_and_without_a_file_there_are_none(tmp_path: Path) -> None:
    file = tmp_path / "error.txt"
    first = "Failure # 1 (occurred at 2026-01-01_10-00-00)\nits node has died\n"
    second = "Failure # 2 (occurred at 2026-01-01_10-00-09)\n\x1b[36mray::f()\x1b[39m\nValueError: no\n"
    file.write_text(first + second)
    assert words_of(SimpleNamespace(error_file=str(file))) == "ray::f()\nValueError: no"
    assert words_of(SimpleNamespace(error_file=str(tmp_path / "none"))) == ""
    assert words_of(SimpleNamespace(error_file=None)) == ""
