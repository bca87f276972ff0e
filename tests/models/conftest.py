"""What the tests of the vocabulary's loss share: a cache of compiled code, and both ways through the rows."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gatesweep.models import softmax_rows


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Libraries are compiled into a folder of these tests' own, once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GATESWEEP_HOME", str(tmp_path_factory.mktemp("home")))
        softmax_rows._kernel.cache_clear()
        yield
    softmax_rows._kernel.cache_clear()


@pytest.fixture(params=["native", "torch"])
def path(request: pytest.FixtureRequest, kernels: None, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each of the two ways through the rows: with a compiler, and where there is none."""
    if request.param == "torch":
        monkeypatch.setattr(softmax_rows, "_kernel", lambda dtype: None)
    return str(request.param)
