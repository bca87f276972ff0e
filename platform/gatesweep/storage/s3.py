"""A prefix of an S3 bucket, through s3fs: what AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID and their like name.

    create    put with `If-None-Match: *`        swap    put with `If-Match: <ETag>`

Conditional puts are in AWS S3 (2024), MinIO, Ceph and SeaweedFS. Each carries a mark in its metadata: when the answer
to a put is lost and the put is made again, the store refuses the second, and the mark tells that the first was ours.
Nothing is listed from a cache: s3fs's is off.
"""

from __future__ import annotations

import secrets
import tempfile
from pathlib import Path
from typing import Any

from gatesweep.errors import StorageError
from gatesweep.storage import folder as local
from gatesweep.storage import s3_client
from gatesweep.storage.protocol import LAST, in_order
from gatesweep.storage.s3_errors import is_conflict, is_refused, told

PART_BYTES = 16 << 20
SLOWEST_BYTES_PER_S = 1 << 20
"""A transfer that is slower over its whole length is given up."""
MARK = "gatesweep-mark"
_CONFLICTS = 5
_BATCH = 1000  # keys in one request to list or to delete: the most that S3 takes


class S3Place:
    """See `Place` and `Versioned`."""

    local: Path | None = None

    def __init__(self, path: str) -> None:
        self.path = path.strip("/")
        self.bucket, _, self._prefix = self.path.partition("/")
        if not self.bucket:
            raise StorageError("no bucket", place=f"s3://{path}", hint="s3://bucket/prefix")

    def __repr__(self) -> str:
        return f"place({self.address!r})"

    @property
    def address(self) -> str:
        return f"s3://{self.path}"

    def child(self, name: str) -> S3Place:
        return S3Place(f"{self.path}/{name.strip('/')}")

    def read(self, name: str) -> bytes:
        with told(self._place(name)):
            on = s3_client.client()
            data: bytes = s3_client.within(s3_client.CALL_S, on, on._cat_file, f"{self.path}/{name}", max_concurrency=1)
            return data

    def write(self, name: str, data: bytes) -> None:
        with told(self._place(name), writing=True):
            self._call("put_object", Key=self._key(name), Body=data)

    def create(self, name: str, data: bytes) -> bool:
        return self.swap(name, data, None, secrets.token_hex(8)) is not None

    def swap(self, name: str, data: bytes, version: str | None, mark: str) -> str | None:
        condition = {"IfNoneMatch": "*"} if version is None else {"IfMatch": version}
        with told(self._place(name), writing=True):
            for attempt in range(_CONFLICTS):
                try:
                    put = self._call("put_object", Key=self._key(name), Body=data, Metadata={MARK: mark}, **condition)
                    return str(put["ETag"])
                except Exception as error:  # s3fs raises OSError for some, botocore its own for others
                    if is_refused(error):
                        return self._own(name, mark)
                    if not is_conflict(error) or attempt == _CONFLICTS - 1:
                        raise
        raise AssertionError("the last attempt returns or raises")

    def _own(self, name: str, mark: str) -> str | None:
        """The version that is there, if it is the write of this mark."""
        found = self._head(name)
        return str(found["ETag"]) if found and found.get("Metadata", {}).get(MARK) == mark else None

    def exists(self, name: str) -> bool:
        with told(self._place(name)):
            return self._head(name) is not None

    def names(self, below: str = "") -> list[str]:
        return list(self.sizes(below))

    def sizes(self, below: str = "") -> dict[str, int]:
        top = "/".join(filter(None, (self._prefix, below.strip("/"))))
        asked: dict[str, Any] = {"Prefix": f"{top}/" if top else "", "MaxKeys": _BATCH}
        found: dict[str, int] = {}
        start = len(self._prefix) + 1 if self._prefix else 0
        with told(self._place(below)):
            while True:
                page = self._call("list_objects_v2", **asked)
                found |= {entry["Key"][start:]: entry["Size"] for entry in page.get("Contents", [])
                          if not entry["Key"].endswith("/")}  # fmt: skip  # a console's folder
                if not page.get("IsTruncated"):
                    return dict(sorted(found.items()))
                asked["ContinuationToken"] = page["NextContinuationToken"]

    def delete(self, name: str) -> None:
        names = self.names(name)
        with told(self._place(name), writing=True):
            if self._head(name):
                self._call("delete_object", Key=self._key(name))
            for first in range(0, len(names), _BATCH):
                keys = [{"Key": self._key(found)} for found in names[first : first + _BATCH]]
                errors = self._call("delete_objects", Delete={"Objects": keys, "Quiet": True}).get("Errors")
                if errors:
                    raise StorageError(f"{len(errors)} files were not deleted: {errors[0].get('Message')}",
                                       place=self._place(name), hint="check the rights of these keys")

    def upload(self, folder: Path, name: str, last: str = LAST) -> None:
        for file in in_order(local.FolderPlace(folder).names(), last):
            with local.told(folder / file):
                size = (folder / file).stat().st_size
            with told(self._place(f"{name}/{file}"), writing=True):
                self._transfer("_put_file", size, str(folder / file), f"{self.path}/{name}/{file}")

    def download(self, name: str, folder: Path) -> None:
        sizes = self.sizes(name)
        if not sizes:
            raise FileNotFoundError(self._place(name))
        for file in in_order(list(sizes), LAST):
            target = folder / file.removeprefix(f"{name}/")
            target.parent.mkdir(parents=True, exist_ok=True)
            with (told(self._place(file)),
                  tempfile.TemporaryDirectory(prefix=".tmp-", dir=target.parent) as scratch):  # fmt: skip
                self._transfer("_get_file", sizes[file], f"{self.path}/{file}", f"{scratch}/file")
                Path(scratch, "file").replace(target)

    def _transfer(self, method: str, size_bytes: int, source: str, target: str) -> None:
        on = s3_client.client()
        limit_s = s3_client.CALL_S + size_bytes / SLOWEST_BYTES_PER_S
        s3_client.within(limit_s, on, getattr(on, method), source, target, chunksize=PART_BYTES)

    def _head(self, name: str) -> dict[str, Any] | None:
        try:
            return self._call("head_object", Key=self._key(name))
        except FileNotFoundError:
            return None

    def _call(self, method: str, **arguments: Any) -> dict[str, Any]:
        on = s3_client.client()
        answer: dict[str, Any] = s3_client.within(s3_client.CALL_S, on, on._call_s3, method, Bucket=self.bucket,
                                                  **arguments)  # fmt: skip
        return answer

    def _key(self, name: str) -> str:
        return "/".join(filter(None, (self._prefix, name)))

    def _place(self, name: str) -> str:
        return f"{self.address}/{name}" if name else self.address
