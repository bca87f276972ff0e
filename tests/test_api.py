"""The Python interface: light to import, and its names stay what they are whatever is imported after them."""

import importlib
import subprocess
import sys

import pytest


def test_importing_the_package_imports_nothing_heavy():
    code = "import gatesweep, sys; assert not {'torch', 'ray', 'mlflow', 'pandas', 'pydantic'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_sweep_can_be_called_before_and_after_its_room_is_imported(monkeypatch):
    import gatesweep
    from gatesweep import api

    monkeypatch.setattr(api, "sweep", lambda spec, **options: (spec, options))
    assert gatesweep.sweep("a.yaml", sweep_id="x") == ("a.yaml", {"sweep_id": "x"})
    importlib.import_module("gatesweep.sweep.spec")
    assert gatesweep.sweep("b.yaml") == ("b.yaml", {})


@pytest.mark.parametrize("name", ["run", "resume", "evaluate", "load"])
def test_every_promised_function_is_the_interfaces_own(name):
    import gatesweep
    from gatesweep import api

    assert getattr(gatesweep, name) is getattr(api, name)


def test_an_unknown_name_is_an_attribute_error():
    import gatesweep

    with pytest.raises(AttributeError, match="nonsense"):
        gatesweep.nonsense  # noqa: B018
