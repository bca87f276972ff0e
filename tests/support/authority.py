"""An authority of a test's own, its certificates, and a door that speaks https before a server that does not."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit


class Authority:
    """Signs certificates with openssl; every file lies in `folder`."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self.folder, self.name = folder, name
        self.file = folder / f"{name}.crt"
        self._openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}",
                      "-keyout", f"{name}.key", "-out", self.file.name)  # fmt: skip

    def sign(self, name: str, *addresses: str) -> tuple[Path, Path]:
        """Certificate and key of `name`, for these addresses."""
        names = ",".join(["DNS:localhost", *(f"IP:{address}" for address in addresses)])
        (self.folder / f"{name}.ext").write_text(f"subjectAltName={names}\n")
        self._openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", f"{name}.key",
                      "-out", f"{name}.csr")  # fmt: skip
        self._openssl("x509", "-req", "-in", f"{name}.csr", "-CA", self.file.name, "-CAkey", f"{self.name}.key",
                      "-CAcreateserial", "-days", "2", "-extfile", f"{name}.ext", "-out", f"{name}.crt")  # fmt: skip
        return self.folder / f"{name}.crt", self.folder / f"{name}.key"

    def _openssl(self, *words: str) -> None:
        subprocess.run(["openssl", *words], cwd=self.folder, check=True, capture_output=True)


@contextlib.contextmanager
def https_door(behind: str, cert: Path, key: Path, clients: Path | None = None) -> Iterator[str]:
    """An https address of the http server at `behind`.

    Args:
        clients: the authority of certificates that clients must show.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    if clients is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(clients)
    server = urlsplit(behind)

    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda loop, context: None)  # guests that were not let in

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            there = await asyncio.open_connection(server.hostname, server.port)
            await asyncio.gather(_pass_on(reader, there[1]), _pass_on(there[0], writer))

    thread = threading.Thread(target=loop.run_forever, name="https-door", daemon=True)
    thread.start()
    opened = asyncio.run_coroutine_threadsafe(asyncio.start_server(serve, "127.0.0.1", 0, ssl=context), loop).result()
    try:
        yield f"https://127.0.0.1:{opened.sockets[0].getsockname()[1]}"
    finally:
        loop.call_soon_threadsafe(opened.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)


async def _pass_on(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(1 << 16):
            target.write(data)
            await target.drain()
    with contextlib.suppress(OSError):
        target.close()
