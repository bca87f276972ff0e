"""Hosts on one machine: processes in namespaces of their own, joined by a bridge that nothing else can reach.

A host has its own network (one interface, `eth0`, and the loopback), process ids, host name and boot id, and a folder
that it sees under the same path as every other host sees its own (`Network.here`). What all hosts share is the rest of
the file system, of which `Network.shared` stands for shared storage. The bridge lies in a namespace too: no address,
route or interface appears outside, so several networks exist side by side, with the same addresses.

Each host hangs on the life of its first process, which hangs on the process that made the network: whoever is killed
takes down what it made, with every process, mount and interface. Only a folder is left, and the next network removes
the folders of owners that are gone.

Needs root, iproute2 and util-linux.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

PREFIX = "gsh"
SUBNET = "10.201.7"
NODE_DISK_MB = 64
DIES_WITH_PARENT = ("setpriv", "--pdeathsig", "KILL")
# the first process of a host: ignoring SIGCHLD, it leaves no zombie of the processes that become its children
REAPER = "import signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN); print('up', flush=True); signal.pause()"

SET_UP = """
set -e
hostname "$1"
mount --bind "$2/hosts/$1" "$2/here"
mount -t tmpfs -o mode=755 hidden "$2/hosts"
mount -t tmpfs -o size="$3" disk "$2/here/node"
mount --bind "$2/here/boot_id" /proc/sys/kernel/random/boot_id
mount --bind "$2/etc/hosts" /etc/hosts
mount --bind "$2/etc/resolv.conf" /etc/resolv.conf
ip link set lo up
exec "$4" -I -S -c "$5"
"""


class Network:
    """A bridge, a folder that all hosts share, and the hosts."""

    def __init__(self) -> None:
        remove_leftovers()
        owner = psutil.Process()
        name = f"{PREFIX}-{owner.pid}-{int(owner.create_time())}-"
        self.folder = Path(tempfile.mkdtemp(prefix=name, dir="/tmp"))  # short: paths of sockets end at 107 bytes
        self.folder.chmod(0o755)
        self.here, self.shared = self.folder / "here", self.folder / "shared"
        for folder in (self.here, self.shared, self.folder / "hosts", self.folder / "etc"):
            folder.mkdir()
        (self.folder / "etc" / "hosts").write_text("127.0.0.1 localhost\n")
        (self.folder / "etc" / "resolv.conf").touch()  # no name server: whoever is not in `hosts` is unknown at once
        self.hosts: dict[str, Host] = {}
        self.switch = _Namespaces(["--net"], ["sh", "-c", "ip link set lo up; echo up; exec sleep infinity"])
        self.ip("link", "add", "bridge", "type", "bridge")
        self.ip("link", "set", "bridge", "up")

    def host(self, name: str, *, disk_mb: int = NODE_DISK_MB) -> Host:
        """A new host, started."""
        made = self.hosts[name] = Host(self, name, len(self.hosts) + 1, disk_mb)
        with (self.folder / "etc" / "hosts").open("a") as file:
            file.write(f"{made.address} {name}\n")
        made.start()
        return made

    def ip(self, *arguments: str) -> None:
        """The `ip` command where the bridge is."""
        _checked([*self.switch.enter("--net"), "ip", *arguments])

    def close(self) -> None:
        """End every host and remove the folder."""
        for host in self.hosts.values():
            host.kill()
        self.switch.end()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Network:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class Host:
    """One machine of a network. Its folder outlives it, `Network.here / "node"` (a small disk) does not."""

    def __init__(self, network: Network, name: str, number: int, disk_mb: int) -> None:
        self.network, self.name, self.number, self.disk_mb = network, name, number, disk_mb
        self.address = f"{SUBNET}.{number}"
        self.folder = network.folder / "hosts" / name
        self._alive: _Namespaces | None = None
        for part in ("home", "tmp", "node"):
            (self.folder / part).mkdir(parents=True)

    @property
    def up(self) -> bool:
        return self._alive is not None and self._alive.alive

    def start(self) -> None:
        """Switch it on."""
        assert not self.up, f"{self.name} is up"
        (self.folder / "boot_id").write_text(f"{uuid.uuid4()}\n")
        arguments = [self.name, str(self.network.folder), f"{self.disk_mb}m", sys.executable, REAPER]
        kinds = ["--net", "--uts", "--mount", "--pid", "--mount-proc"]
        self._alive = _Namespaces(kinds, ["sh", "-c", SET_UP, "sh", *arguments])
        port = f"port{self.number}"
        with contextlib.suppress(subprocess.CalledProcessError):  # the interface of its life before goes a little late
            self.network.ip("link", "del", port)
        self.network.ip("link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", str(self._alive.first))
        self.network.ip("link", "set", port, "master", "bridge", "up")
        inside = [*self._alive.enter("--net"), "ip"]
        _checked([*inside, "addr", "add", f"{self.address}/24", "dev", "eth0"])
        _checked([*inside, "link", "set", "eth0", "up"])

    def kill(self) -> None:
        """Pull the plug: no process hears a signal, no peer hears a farewell."""
        if self._alive is not None:
            if self._alive.alive:
                self.cut()
            self._alive.end()
            self._alive = None

    def cut(self) -> None:
        """Take it off the network; its processes go on."""
        self.network.ip("link", "set", f"port{self.number}", "down")

    def mend(self) -> None:
        """Put it back."""
        self.network.ip("link", "set", f"port{self.number}", "up")

    def run(
        self, command: Sequence[str], env: Mapping[str, str] | None = None, **options: Any
    ) -> subprocess.Popen[str]:
        """Start a command here, with this process's environment, `env` over it, and a home and /tmp of the host.

        A SIGKILL to what is returned ends the command too; any other signal goes to one of `processes()`.
        """
        assert self._alive is not None, f"{self.name} is off"
        own = {"HOME": self.network.here / "home", "TMPDIR": self.network.here / "tmp"}
        node = {"GATESWEEP_NODE_FOLDER": self.network.here / "node"}
        environment = {**os.environ, **{name: str(value) for name, value in (own | node).items()}, **(env or {})}
        folder = str(options.pop("cwd", self.network.here / "home"))
        entered = [*self._alive.enter("--net", "--uts", "--mount", "--pid"), *DIES_WITH_PARENT]
        command = [*entered, "env", f"--chdir={folder}", *command]
        return subprocess.Popen(command, env=environment, text=True, start_new_session=True, **options)

    def call(self, command: Sequence[str], env: Mapping[str, str] | None = None, *, timeout_s: float = 120) -> str:
        """Run a command here to its end; gives what it printed.

        Raises:
            RuntimeError: it failed or took too long.
        """
        process = self.run(command, env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            out, _ = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            raise RuntimeError(f"{self.name}: {list(command)} took longer than {timeout_s} s") from None
        if process.returncode:
            raise RuntimeError(f"{self.name}: {list(command)} ended with {process.returncode}:\n{out}")
        return out

    def processes(self, *words: str) -> list[psutil.Process]:
        """Its processes whose command line holds all of `words`, the oldest first, with the ids of the outside."""
        return [] if self._alive is None else list(_in_namespace(self._alive.first, words))

    def kill_processes(self, *words: str) -> int:
        """SIGKILL those processes, by id; how many there were."""
        found = self.processes(*words)
        for process in found:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        return len(found)

    def path(self, inside: Path) -> Path:
        """How this process reaches a path as the host sees it."""
        assert self._alive is not None, f"{self.name} is off"
        return Path(f"/proc/{self._alive.first}/root", *inside.parts[1:])

    def fill(self) -> None:
        """Leave no byte on the small disk."""
        ballast = self.path(self.network.here / "node" / "ballast")
        with contextlib.suppress(OSError), ballast.open("ab", buffering=0) as file:
            while file.write(bytes(1 << 12)):
                pass

    def free(self) -> None:
        """Take the ballast off the small disk."""
        self.path(self.network.here / "node" / "ballast").unlink(missing_ok=True)


class _Namespaces:
    """A process in new namespaces that prints a line when they are set up; everything in them ends with it."""

    def __init__(self, kinds: Sequence[str], command: Sequence[str]) -> None:
        start = [*DIES_WITH_PARENT, "unshare", *kinds, "--fork", "--kill-child", *command]
        self._process = subprocess.Popen(
            start, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            start_new_session=True)  # fmt: skip
        assert self._process.stdout is not None
        if not self._process.stdout.readline():
            raise RuntimeError(f"no namespaces ({' '.join(kinds)}): is this root, and are ip and unshare installed?")
        self.first: int = psutil.Process(self._process.pid).children()[0].pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def enter(self, *kinds: str) -> list[str]:
        """The beginning of a command that runs in there."""
        return ["nsenter", "--target", str(self.first), *kinds]

    def end(self) -> None:
        """Kill everything in there and wait until it is gone."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.first, 9)
        self._process.kill()
        self._process.wait()
        ends = time.monotonic() + 30
        while psutil.pid_exists(self.first) and time.monotonic() < ends:
            time.sleep(0.01)
        assert self._process.stdout is not None
        self._process.stdout.close()


def _checked(command: Sequence[str]) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def _in_namespace(first: int, words: Sequence[str]) -> Iterator[psutil.Process]:
    with contextlib.suppress(OSError):
        inside = os.readlink(f"/proc/{first}/ns/pid")
        for process in psutil.process_iter():
            with contextlib.suppress(OSError, psutil.Error):
                if process.pid != first and os.readlink(f"/proc/{process.pid}/ns/pid") == inside:
                    command = " ".join(process.cmdline())
                    if all(word in command for word in words) and process.status() != psutil.STATUS_ZOMBIE:
                        yield process


def remove_leftovers() -> None:
    """Folders of networks whose owner is gone: its hosts went with it."""
    for folder in Path("/tmp").glob(f"{PREFIX}-*-*-*"):
        owner, started = folder.name.split("-")[1:3]
        with contextlib.suppress(psutil.NoSuchProcess, ValueError):
            if int(psutil.Process(int(owner)).create_time()) == int(started):
                continue
        shutil.rmtree(folder, ignore_errors=True)
