"""Pinned data as MLflow dataset inputs: name = the set's name, digest = its md5 in `data.dvc`, `.dir` included."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from gatesweep.config.places import find_root
from gatesweep.errors import StoreError

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput

_DIGEST_CHARS = 36  # MLflow's limit: 32 hex digits and `.dir`


@runtime_checkable
class Pinned(Protocol):
    """What names a pinned set. Where it has `url` (the remote) and `rev` (a commit), they are told too."""

    @property
    def name(self) -> str: ...

    @property
    def md5(self) -> str: ...

    @property
    def path(self) -> str | Path: ...


def data_md5(datasets: Sequence[Pinned]) -> str:
    """The pins in one tag: `d41d….dir` of one set, `traffic=d41d….dir energy=…` of several."""
    if len(datasets) == 1:
        return datasets[0].md5
    return " ".join(f"{d.name}={d.md5}" for d in datasets)


def describe(pinned: Pinned) -> dict[str, Any]:
    """Where the set comes from: its path in the repository, its digest, and remote and revision if known."""
    told = {key: getattr(pinned, key, None) for key in ("url", "rev")}
    known = {key: str(value) for key, value in told.items() if value}
    return {"path": _in_tree(Path(pinned.path)), "md5": pinned.md5, **known}


def _in_tree(path: Path) -> str:
    """`data/traffic`, as `data.dvc` has it, where the path lies in the tree of `data.dvc`."""
    root = find_root(path) if path.is_absolute() else None
    return str(path.resolve().relative_to(root)) if root else str(path)


def dataset_inputs(datasets: Sequence[Pinned]) -> list[DatasetInput]:
    """MLflow's entities for `log_inputs`.

    Raises:
        StoreError: a digest that MLflow would refuse.
    """
    from mlflow.data.dataset_source import DatasetSource
    from mlflow.data.meta_dataset import MetaDataset
    from mlflow.entities import DatasetInput, InputTag

    class DvcSource(DatasetSource):
        """A set that DVC pins; it is shown, and loaded by `gatesweep data pull` alone."""

        def __init__(self, told: dict[str, Any]) -> None:
            self._told = told

        @staticmethod
        def _get_source_type() -> str:
            return "dvc"

        def load(self) -> Any:
            raise StoreError(f"MLflow does not fetch {self._told['path']}", hint="gatesweep data pull")

        @staticmethod
        def _can_resolve(raw_source: Any) -> bool:
            return False

        @classmethod
        def _resolve(cls, raw_source: Any) -> DvcSource:
            raise StoreError(f"not a pinned set: {raw_source}")

        def to_dict(self) -> dict[str, Any]:
            return self._told

        @classmethod
        def from_dict(cls, source_dict: dict[Any, Any]) -> DvcSource:
            return cls(source_dict)

    for pinned in datasets:
        if not 0 < len(pinned.md5) <= _DIGEST_CHARS:
            raise StoreError(f"digest '{pinned.md5}' of '{pinned.name}' is not an md5 of data.dvc")
    sets = [MetaDataset(DvcSource(describe(p)), name=p.name, digest=p.md5) for p in datasets]  # type: ignore[abstract]
    return [DatasetInput(one._to_mlflow_entity(), [InputTag("mlflow.data.context", "training")]) for one in sets]
