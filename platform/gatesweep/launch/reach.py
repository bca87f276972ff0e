"""What of a cluster's file every host can reach: an address or a folder of one host alone is refused."""

from __future__ import annotations

import os
from urllib.parse import urlsplit


def literal(value: str) -> str:
    """An address that means the same everywhere.

    Raises:
        ValueError: it has a variable, which nobody fills in.
    """
    if "${" in value:
        raise ValueError(f"'{value}' has a variable, and nothing fills it in\n\nhint: write the address out, or give"
                         " it with --set")  # fmt: skip
    return value


def _scheme(value: str) -> str:
    """What stands before `://`; empty in a path."""
    scheme, separator, _ = literal(value).partition("://")
    return scheme if separator else ""


def tracking_address(value: str, kind: str) -> str:
    """MLflow's address, of a server; SQLite's file is one host's, so that it serves no more than a cluster of one.

    Raises:
        ValueError: with the way out.
    """
    hint = "http://host:5000, of a server that every host reaches"
    scheme = _scheme(value)
    if not scheme:
        raise ValueError(f"'{value}' is no address\n\nhint: {hint}")
    if scheme in ("http", "https"):
        if not urlsplit(value).hostname:
            raise ValueError(f"'{value}' names no host\n\nhint: {hint}")
    elif kind == "kuberay" or (kind == "ray" and scheme != "sqlite"):
        raise ValueError(f"{scheme}:// is no server that every host reaches\n\nhint: {hint}")
    return value


def storage_address(value: str, kind: str) -> str:
    """A folder by its whole path, or a bucket.

    Raises:
        ValueError: with the way out.
    """
    hint = "/mnt/shared/gatesweep, a folder that every host sees, or s3://bucket/prefix"
    scheme = _scheme(value)
    if scheme:
        if scheme != "s3":
            raise ValueError(f"{scheme}:// is no storage of sweeps\n\nhint: a folder that every host sees, or s3://…")
        if not urlsplit(value).netloc:
            raise ValueError(f"'{value}' names no bucket\n\nhint: s3://bucket/prefix")
        return value
    if value.startswith("~") and kind != "local":
        raise ValueError(f"'{value}' is another folder for each user and host\n\nhint: {hint}")
    path = os.path.expanduser(value)
    if not os.path.isabs(path):
        raise ValueError(f"'{value}' is not absolute, and hosts have other folders\n\nhint: start it with /")
    if not os.path.normpath(path).strip("/"):
        raise ValueError(f"'{value}' is the whole disk\n\nhint: {hint}")
    return value
