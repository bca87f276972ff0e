"""A cluster's file is refused for what would fail later, by file, key and way out; no secret is repeated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gatesweep.errors import EXIT_USER, ConfigError
from gatesweep.launch.config import cluster_from, load_cluster

RAY: dict[str, Any] = {"kind": "ray", "address": "http://head:8265", "tracking": "http://mlflow:5000",
                       "storage": "s3://bucket/sweeps"}  # fmt: skip
KUBERAY: dict[str, Any] = {"kind": "kuberay", "tracking": "http://mlflow:5000", "storage": "s3://b/s", "image": "x:1"}
SECRET = "hunter2-hunter2"

REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"kind": None}, "'kind' is missing", "kind: local"),
    ({"kind": "rai"}, "there is no kind of cluster 'rai'", "did you mean 'ray'?"),
    ({"storage": None}, "'storage' is missing: hosts share", "storage: /mnt/shared/gatesweep"),
    ({"tracking": None}, "'tracking' is missing: runs of other hosts", "tracking: http://mlflow"),
    ({"storage": "sweeps"}, "storage: 'sweeps' is not absolute", "start it with /"),
    ({"storage": "gs://bucket"}, "gs:// is no storage of sweeps", "s3://"),
    ({"tracking": "mlflow.db"}, "tracking: 'mlflow.db' is no address", "http://host:5000"),
    ({"address": "ray://head:10001"}, "'ray://head:10001' is no address of a job server", "not ray://"),
    ({"adress": "x"}, "unknown key 'adress'", "did you mean 'address'?"),
    ({"adress": "x", "tracking": None, "address": None}, "unknown key 'adress'", "did you mean 'address'?"),
    ({"tracking": "http://"}, "tracking: 'http://' names no host", "http://host:5000"),
    ({"tracking": "http://:5000"}, "tracking: 'http://:5000' names no host", "http://host:5000"),
    ({"tracking": "file:///tmp/mlruns"}, "tracking: file:// is no server that every host reaches", "http://host:5000"),
    ({"tracking": "http://${HOST}:5000"}, "tracking: 'http://${HOST}:5000' has a variable", "write the address out"),
    ({"address": "http://${HEAD}:8265"}, "address: 'http://${HEAD}:8265' has a variable", "write the address out"),
    ({"address": "http://:8265"}, "'http://:8265' is no address of a job server", "http://host:8265"),
    ({"data": {"remote": "s3://${B}/dvc"}}, "data.remote: 's3://${B}/dvc' has a variable", "write the address out"),
    ({"storage": "s3://"}, "storage: 's3://' names no bucket", "s3://bucket/prefix"),
    ({"storage": "s3:///sweeps"}, "storage: 's3:///sweeps' names no bucket", "s3://bucket/prefix"),
    ({"storage": "/"}, "storage: '/' is the whole disk", "/mnt/shared"),
    ({"storage": "~/sweeps"}, "storage: '~/sweeps' is another folder for each user", "/mnt/shared"),
    ({"storage": "/mnt/${USER}"}, "storage: '/mnt/${USER}' has a variable", "write the address out"),
    ({"image": "x"}, "'image' is no key of kind ray", "it belongs to kind kuberay"),
    ({"package": {"limit": 5}}, "package: unknown key 'limit'", "did you mean 'limit_mb'?"),
    ({"package": {"limit_mb": "0"}}, "package.limit_mb: input should be greater than 0, not '0'", ""),
    ({"secrets": {"KEY": SECRET}}, "secrets.KEY: a secret is named by its place", "KEY: {file: /run/secrets/key}"),
    ({"secrets": {"KEY": {"value": SECRET}}}, "secrets.KEY: a secret is named by its place", "{env: KEY}"),
    ({"secrets": {"KEY": {"file": "a", "env": "B"}}}, "secrets.KEY: names one place", "{env: NAME}"),
    ({"auth": {"token": SECRET}}, "auth.token: a secret is named by its place", "{file: /run/secrets/token}"),
    ({"auth": SECRET}, "auth: a secret is named by its place", "{file: /run/secrets/token}"),
    ({"tracking": f"https://me:{SECRET}@host"}, "tracking: the address https://host holds credentials", "secrets:"),
    ({"address": f"https://{SECRET}@head:8265"}, "address: the address https://head:8265 holds", "secrets:"),
    ({"data": {"remote": f"https://me:{SECRET}@host/dvc"}}, "data.remote: the address https://host/dvc", "secrets:"),
    ({"environment": {"URL": f"ftp://me:{SECRET}@host"}}, "environment.URL: the address ftp://host", "secrets:"),
    ({"environment": {"MY_TOKEN": SECRET}}, "environment.MY_TOKEN: looks like a secret", "{env: MY_TOKEN}"),
]


@pytest.mark.parametrize(("changes", "message", "hint"), REFUSED, ids=[str(i) for i in range(len(REFUSED))])
def test_a_wrong_file_is_refused_with_the_key_and_the_way_out(
    changes: dict[str, Any], message: str, hint: str
) -> None:
    raw = {key: value for key, value in {**RAY, **changes}.items() if value is not None}
    with pytest.raises(ConfigError) as refused:
        cluster_from(raw, place="lab.yaml")
    assert str(refused.value).startswith("lab.yaml: ")
    assert message in str(refused.value)
    assert hint in (refused.value.hint or "")
    assert SECRET not in str(refused.value)
    assert refused.value.exit_code == EXIT_USER


@pytest.mark.parametrize("key", ["tracking", "storage"])
def test_kuberay_needs_what_ray_needs(key: str) -> None:
    with pytest.raises(ConfigError, match=f"'{key}' is missing"):
        cluster_from({name: value for name, value in KUBERAY.items() if name != key}, place="k.yaml")


def test_a_file_of_one_host_is_no_tracking_server_for_pods() -> None:
    with pytest.raises(ConfigError, match="sqlite:// is no server that every host reaches"):
        cluster_from({**KUBERAY, "tracking": "sqlite:////tmp/x.db"}, place="k.yaml")


def test_local_may_keep_its_sweeps_below_the_users_own_folder() -> None:
    where = cluster_from({"kind": "local", "storage": "~/x", "tracking": "sqlite:////tmp/x.db"}, place="l.yaml").where
    assert where.storage == str(Path.home() / "x")


def test_local_needs_nothing_and_says_where_this_machine_keeps_its_sweeps() -> None:
    where = cluster_from({"kind": "local"}, place="l.yaml").where
    assert (where.ray_address, where.storage, where.tracking, where.shared) == (None, None, None, False)


def test_what_a_sweep_is_told_is_what_the_file_says() -> None:
    cluster = cluster_from({**RAY, "data": {"remote": "s3://b/dvc"}, "node": {"folder": "/var/x"},
                            "environment": {"A": "1"}, "secrets": {"S": {"file": "/run/s"}, "T": {"env": "U"}}},
                           place="r.yaml")  # fmt: skip
    where = cluster.where
    assert (where.ray_address, where.storage, where.tracking) == ("auto", RAY["storage"], RAY["tracking"])
    assert (where.data_remote, where.node_folder, where.environment) == ("s3://b/dvc", "/var/x", {"A": "1"})
    assert where.secrets == {"S": {"file": "/run/s"}, "T": {"env": "U"}}


@pytest.mark.parametrize("name", ["local", "ray", "kuberay"])
def test_a_cluster_written_down_is_read_again_the_same(root: Path, name: str) -> None:
    cluster = load_cluster(root / "configs" / "clusters" / f"{name}.yaml")
    assert cluster_from(cluster.as_dict(), place="again") == cluster
    assert cluster.name == name


def test_set_changes_a_clusters_file_too(root: Path) -> None:
    file = root / "configs" / "clusters" / "ray.yaml"
    assert load_cluster(file, ["address=http://other:8265/"]).as_dict()["address"] == "http://other:8265"
