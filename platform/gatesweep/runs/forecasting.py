"""pandas in, pandas out: a frame is trained on, or read by a model that is trained already, and goes on.

The frame is written to the home folder as the CSV that the run is trained on, named by its digest: a run from a frame
is a run like others, which `evaluate` and `reproduce` find again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gatesweep.errors import ConfigError, DataError
from gatesweep.runs.evaluation import restore
from gatesweep.runs.experiment import experiment_from
from gatesweep.runs.training import Listener, run

if TYPE_CHECKING:
    import pandas as pd

    from gatesweep.track.store import Store

TIME = "time"
SETTINGS: dict[str, Any] = {
    "data": {"calendar": ["hour", "weekday"], "loss": "mae"},
    "model": {"hidden_size": 64, "dropout": 0.1, "normalise": "last"},
    "optimizer": {"name": "adamw", "lr": 3e-3, "clip_norm": 1.0},
    "schedule": {"name": "cosine"},
    "trainer": {"max_epochs": 10, "batch_size": 64, "monitor": "val/mae"},
}
"""What is not said otherwise."""


def forecast(frame: pd.DataFrame, store: Store, *, horizon: int | None = None, targets: Sequence[str] = (),
             covariates: Sequence[str] = (), known: Sequence[str] = (), future: pd.DataFrame | None = None,
             config: Mapping[str, Any] | None = None, run_name: str | None = None,
             listener: Listener | None = None) -> pd.DataFrame:  # fmt: skip
    """The steps after the last row of `frame`; see `gatesweep.forecast`.

    Raises:
        ConfigError: settings that do not go together.
        DataError: a frame without stamps, or that cannot be trained on.
    """
    import pandas as pd

    from gatesweep.data.fetch import user_file
    from gatesweep.tasks.forecasting.ahead import ahead
    from gatesweep.tasks.forecasting.source import read_like
    from gatesweep.tasks.forecasting.task import Forecasting

    frame = frame.to_frame(frame.name or "value") if isinstance(frame, pd.Series) else frame
    path = _written(frame, store.home / "forecasts")
    if run_name is None:
        experiment = experiment_from(_experiment(frame, path, horizon, targets, covariates, known, config),
                                     place="forecast")  # fmt: skip
        result = run(experiment, store, listener)
        run_name, metrics, baseline = result.run_id, result.metrics, result.baseline
    elif horizon or targets or covariates or known or config:
        raise ConfigError("a run that is trained already has its own horizon, columns and settings", place="forecast",
                          hint="leave run out to train on this frame")
    else:
        metrics, baseline = {}, {}
    run_id, task = restore(run_name, store)
    if not isinstance(task, Forecasting):
        raise ConfigError(f"run '{run_name}' forecasts no series", place="forecast: run")
    found = ahead(task.module, read_like(user_file(path), task.data), future)
    found.attrs |= {"run_id": run_id, "metrics": dict(metrics), "baseline": dict(baseline)}
    return found


def _written(frame: pd.DataFrame, folder: Path) -> Path:
    """The frame as CSV, stamps first, under the digest of its bytes."""
    import pandas as pd

    from gatesweep.tasks.forecasting.ahead import naive_utc

    stamped = frame
    if not isinstance(frame.index, pd.DatetimeIndex):
        stamps = [name for name in frame.columns if pd.api.types.is_datetime64_any_dtype(frame[name])]
        if len(stamps) != 1:
            raise DataError(f"the frame has no index of stamps, and {len(stamps)} columns of them", place="forecast",
                            hint="df.set_index('when'), its values made by pandas.to_datetime")
        stamped = frame.set_index(stamps[0])
    if not all(pd.api.types.is_numeric_dtype(stamped[name]) for name in stamped.columns):
        words = [str(name) for name in stamped.columns if not pd.api.types.is_numeric_dtype(stamped[name])]
        raise DataError(f"column '{words[0]}' holds no numbers", place="forecast", hint="drop it, or turn it into some")
    stamped = stamped.set_axis(naive_utc(pd.DatetimeIndex(stamped.index)))
    text = stamped.rename_axis(TIME).to_csv(date_format="%Y-%m-%dT%H:%M:%S").encode()
    path = folder / f"{hashlib.md5(text, usedforsecurity=False).hexdigest()}.csv"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".tmp").write_bytes(text)
        path.with_suffix(".tmp").replace(path)
    return path


def _experiment(frame: pd.DataFrame, path: Path, horizon: int | None, targets: Sequence[str],
                covariates: Sequence[str], known: Sequence[str], config: Mapping[str, Any] | None) -> dict[str, Any]:
    """`SETTINGS`, over them the caller's, over these the arguments."""
    import pandas as pd

    chosen = dict(config or {})
    sections = {name: {**SETTINGS.get(name, {}), **chosen.pop(name, {})} for name in SETTINGS}
    data = sections["data"]
    said = {"horizon": horizon, "covariates": list(covariates) or None, "known": list(known) or None}
    data |= {"path": str(path), "time": TIME} | {name: value for name, value in said.items() if value is not None}
    taken = {*data.get("covariates", ()), *data.get("known", ())}
    stamps = [name for name in frame.columns if pd.api.types.is_datetime64_any_dtype(frame[name])]
    asked = list(targets) or [str(name) for name in frame.columns if name not in taken and name not in stamps]
    if "target" not in data and "targets" not in data:
        data |= {"target": asked[0]} if len(asked) == 1 else {"targets": asked}
    data.setdefault("lookback", max(2 * int(data.get("horizon", 24)), 24))
    data.setdefault("seasonal", [24, 168] if len(frame) > 2000 else [1, 7])
    return {"task": "forecasting", "seed": 1, **chosen, **sections}
