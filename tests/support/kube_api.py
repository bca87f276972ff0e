"""A server that speaks the few paths of Kubernetes' API that submitting takes. It is no API server.

It keeps RayJobs as they were sent, gives them the status that a test says, and answers about their submitters' pods. It
checks no schema, has no operator and makes no pods: what a real API server and KubeRay do is not shown by it.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

TOKEN = "the-users-own-token"
_JOBS = re.compile(r"/apis/ray\.io/v1/namespaces/([^/]+)/rayjobs(?:/([^/]+))?")
_PODS = re.compile(r"/api/v1/namespaces/([^/]+)/pods(?:/([^/]+)/log)?")


class FakeApi:
    """What the server holds, and what it was asked."""

    def __init__(self) -> None:
        self.jobs: dict[str, dict[str, Any]] = {}
        self.logs: dict[str, list[str]] = {}
        """Of a RayJob, what each of its submitters' pods has said."""
        self.asked: list[tuple[str, str]] = []
        self.refuses: tuple[int, str] | None = None
        """A status and a message for whatever comes next."""
        self.address = ""

    def says(self, name: str, deployed: str, ray: str = "", **further: Any) -> None:
        """The status of a RayJob."""
        self.jobs[name]["status"] = {"jobDeploymentStatus": deployed, "jobStatus": ray, **further}

    def kubeconfig(self, file: Path, token: str = TOKEN) -> Path:
        """A file with which the client finds this server."""
        file.write_text(yaml.safe_dump({
            "apiVersion": "v1", "kind": "Config", "current-context": "fake",
            "clusters": [{"name": "fake", "cluster": {"server": self.address}}],
            "users": [{"name": "me", "user": {"token": token}}],
            "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "me"}}],
        }))  # fmt: skip
        return file

    def answer(self, method: str, path: str, body: Any, authorization: str) -> tuple[int, Any]:
        """The status and the body."""
        url = urlsplit(path)
        self.asked.append((method, url.path))
        if authorization != f"Bearer {TOKEN}":
            return self._failure(401, "Unauthorized")
        if self.refuses is not None:
            return self._failure(*self.refuses)
        asked = {name: values[0] for name, values in parse_qs(url.query).items()}
        if found := _JOBS.fullmatch(url.path):
            return self._job(method, found[1], found[2], body, asked)
        if found := _PODS.fullmatch(url.path):
            return self._pod(found[2], asked)
        return self._failure(404, "the server could not find the requested resource")

    def _job(self, method: str, namespace: str, name: str | None, body: Any, asked: dict[str, str]) -> tuple[int, Any]:
        if method == "POST":
            name = body["metadata"]["name"]
            if name in self.jobs:
                return self._failure(409, f'rayjobs.ray.io "{name}" already exists')
            born = f"2026-01-01T00:00:{len(self.jobs):02d}Z"
            self.jobs[name] = {**body, "metadata": {**body["metadata"], "creationTimestamp": born}}
            self.logs[name] = []
            return 201, self.jobs[name]
        if name is None:
            label = asked.get("labelSelector", "").partition("=")
            items = [job for job in self.jobs.values() if job["metadata"]["namespace"] == namespace and (
                not label[0] or job["metadata"]["labels"].get(label[0]) == label[2])]  # fmt: skip
            return 200, {"kind": "RayJobList", "items": items}
        if name not in self.jobs:
            return self._failure(404, f'rayjobs.ray.io "{name}" not found')
        return 200, self.jobs.pop(name) if method == "DELETE" else self.jobs[name]

    def _pod(self, name: str | None, asked: dict[str, str]) -> tuple[int, Any]:
        if name is not None:
            job, _, number = name.rpartition("-")
            return 200, self.logs[job][int(number)]
        job = asked["labelSelector"].removeprefix("job-name=")
        pods = [{"metadata": {"name": f"{job}-{i}", "creationTimestamp": f"2026-01-01T00:00:{i:02d}Z"},
                 "status": {"phase": "Running"}} for i in range(len(self.logs.get(job, ())))]  # fmt: skip
        return 200, {"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": pods}

    @staticmethod
    def _failure(status: int, message: str) -> tuple[int, Any]:
        return status, {"kind": "Status", "status": "Failure", "message": message, "code": status}


@contextmanager
def serve() -> Iterator[FakeApi]:
    """The server, on a free port of this machine."""
    api = FakeApi()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            status, said = api.answer(self.command, self.path, body, self.headers.get("Authorization") or "")
            content = said.encode() if isinstance(said, str) else json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/plain" if isinstance(said, str) else "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_DELETE = do_GET

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    api.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
