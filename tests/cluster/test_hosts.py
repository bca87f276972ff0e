"""The hosts that cluster tests stand on: namespaces that reach each other, are cut off, killed and started again."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hosts import Host, Network

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(120)]

SERVE = "import socket; s = socket.create_server(('0.0.0.0', 7000)); print('up', flush=True)\nwhile True: s.accept()"
REACH = "import socket, sys; socket.create_connection((sys.argv[1], 7000), timeout=1).close()"
NAMED = "import socket, sys; print(socket.gethostbyname(sys.argv[1]))"


@pytest.fixture
def network() -> Iterator[Network]:
    with Network() as made:
        yield made


def _up(host: Host, *command: str) -> subprocess.Popen[str]:
    """A process of the host's that has said that it runs."""
    process = host.run(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    return process


def _serving(host: Host) -> None:
    _up(host, sys.executable, "-c", SERVE)


def _reaches(host: Host, other: Host) -> bool:
    command = [sys.executable, "-c", REACH, other.address]
    return host.run(command, stderr=subprocess.DEVNULL).wait(timeout=30) == 0


def test_three_hosts_have_addresses_names_and_folders_of_their_own_and_reach_each_other(network: Network):
    hosts = [network.host(name) for name in ("head", "one", "two")]
    for host in hosts:
        _serving(host)
        said = host.call(["sh", "-c", "hostname; cat /proc/sys/kernel/random/boot_id; echo $$ >../pid"])
        name, boot_id = said.split()
        assert name == host.name
        assert boot_id == (host.folder / "boot_id").read_text().strip()
        assert int((host.folder / "pid").read_text()) < 100
    assert len({(host.folder / "boot_id").read_text() for host in hosts}) == 3
    assert all(_reaches(a, b) for a in hosts for b in hosts)
    assert hosts[0].call([sys.executable, "-c", NAMED, "two"]).strip() == hosts[2].address
    assert hosts[0].call(["ls", str(network.folder / "hosts")]) == ""  # nobody looks into another one's folder


def test_a_host_that_is_cut_off_works_on_unreached_and_comes_back(network: Network):
    near, far = network.host("near"), network.host("far")
    _serving(far)
    assert _reaches(near, far)
    far.cut()
    assert not _reaches(near, far)
    assert far.call(["echo", "alive"]) == "alive\n"
    far.mend()
    assert _reaches(near, far)


def test_a_killed_host_is_gone_with_its_processes_and_starts_again_at_its_address(network: Network):
    near, far = network.host("near"), network.host("far")
    _serving(far)
    sleeper = _up(far, "sh", "-c", "echo up; exec sleep 600")
    (far.folder / "home" / "kept").write_text("on its disk")
    address, processes = far.address, far.processes()
    assert len(processes) == 2
    far.kill()
    assert sleeper.wait(timeout=10) != 0
    assert not any(process.is_running() for process in processes)
    assert not _reaches(near, far)
    far.start()
    assert not _reaches(near, far)  # it is there, and nothing serves
    _serving(far)
    assert far.address == address
    assert _reaches(near, far)
    assert far.call(["cat", "kept"]) == "on its disk"


def test_a_hosts_small_disk_fills_and_is_freed_and_no_other_disk_is(network: Network):
    full, other = network.host("full"), network.host("other")
    write = ["sh", "-c", "head -c 100000 /dev/zero >../node/file"]
    full.fill()
    with pytest.raises(RuntimeError, match="No space left"):
        full.call(write)
    other.call(write)
    full.free()
    full.call(write)


OWNER = """
import sys, time
sys.path.insert(0, sys.argv[1])
from hosts import Network
host = Network().host("orphan")
host.run(["sh", "-c", "echo up; exec sleep 600"], stdout=-1).stdout.readline()
print(host.network.folder, *[process.pid for process in host.processes()], flush=True)
time.sleep(600)
"""


def test_a_killed_owner_leaves_no_process_and_the_next_network_removes_its_folder(network: Network):
    support = str(Path(__file__).parents[1] / "support")
    owner = subprocess.Popen([sys.executable, "-c", OWNER, support], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    folder, *pids = owner.stdout.readline().split()
    os.kill(owner.pid, signal.SIGKILL)
    owner.wait()
    assert pids
    assert Path(folder).is_dir()
    ends = time.monotonic() + 20
    while any(Path(f"/proc/{pid}").exists() for pid in pids) and time.monotonic() < ends:
        time.sleep(0.1)
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    assert network.folder.is_dir()
    with Network() as another:
        assert not Path(folder).exists()
        assert network.folder.is_dir()  # its owner lives
    assert not another.folder.exists()
