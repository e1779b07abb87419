"""Hosts that are network namespaces of this machine: a head, which is their bridge too, and nodes on links to it."""

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.commands import ROOT
from tests.faults.blenders import FOLDER
from tests.faults.processes import kill, wait_for

RAY = str(Path(sys.executable).parent / "ray")
HEAD = "head"
PORT = 6379
ADDRESSES = {HEAD: "192.0.2.1", "left": "192.0.2.2", "right": "192.0.2.3"}  # for documents: no real host has them
PATIENCE_S = 120
# A node is dead once it has missed 5 checks, one a second: up to 15 s after it was cut off. Ray's own: 5 in 15 to 65 s.
CHECKS = {"RAY_health_check_period_ms": "1000", "RAY_health_check_timeout_ms": "2000"}


def obstacle() -> str:
    """Why this machine cannot have such hosts; empty where it can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    try:
        name = f"synthmark-{os.getpid()}"
        for step in ("add", "del"):
            subprocess.run(["ip", "netns", step, name], check=True, capture_output=True)
    except FileNotFoundError:
        return "`ip` is missing (Debian: apt-get install iproute2)"
    except subprocess.CalledProcessError as error:
        return f"no network namespace can be made: {error.stderr.decode().strip()}"
    return ""


@dataclass(frozen=True, kw_only=True)
class Hosts:
    """A head and its render nodes; `folder` holds their files, `environment` is that of every process."""

    folder: Path
    environment: dict[str, str]
    nodes: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    def space(self, host: str) -> str:
        """The name of a host's namespace."""
        return f"{self.folder.name}-{host}"

    def start(self, host: str, command: list[str], log: Path, **variables: str) -> "subprocess.Popen[bytes]":
        """A process on a host; what it says goes to `log`."""
        with log.open("ab") as stream:
            return subprocess.Popen(
                ["ip", "netns", "exec", self.space(host), *command], cwd=ROOT, stdout=stream,
                stderr=subprocess.STDOUT, env=self.environment | variables,
            )  # fmt: skip

    def join(self, host: str) -> None:
        """Start Ray on a host, as a supervisor would: the head with no room for work, a node with a core, no cache."""
        role = [f"--address={ADDRESSES[HEAD]}:{PORT}", "--num-cpus=1"]
        if host == HEAD:
            role = ["--head", f"--port={PORT}", "--num-cpus=0", "--dashboard-host=127.0.0.1"]
        command = [
            RAY, "start", "--block", *role, f"--node-ip-address={ADDRESSES[host]}", "--object-store-memory=100000000",
            f"--temp-dir={self.folder / host}", "--disable-usage-stats",
        ]  # fmt: skip
        cache = str(self.folder / f"{host}-cache")  # empty: a new machine has no body model
        self.nodes[host] = self.start(host, command, self.folder / f"{host}.log", SYNTHMARK_CACHE=cache)

    def link(self, host: str, state: str) -> None:
        """Put the cable of a host in (up) or pull it (down)."""
        _ip("-n", self.space(HEAD), "link", "set", f"to-{host}", state)

    def processes(self, host: str) -> list[int]:
        """Every process of a host."""
        listed = subprocess.run(["ip", "netns", "pids", self.space(host)], capture_output=True, text=True)
        return [int(pid) for pid in listed.stdout.split()]

    def power_off(self, host: str) -> None:
        """kill -9 of everything on a host; nobody is told."""
        self.link(host, "down")
        self.end(host)

    def end(self, host: str) -> None:
        """kill -9 of everything on a host."""
        for pid in self.processes(host):
            with suppress(ProcessLookupError):
                kill(pid)

    def watch(self, *through: str) -> None:
        """Begin to watch who is alive, by a command (`through` ssh, say) on the head, which is when this returns."""
        log = self.folder / "watch.log"
        variables = [f"{name}={self.environment[name]}" for name in ("PYTHONPATH", "RAY_ADDRESS", "RAY_AUTH_MODE")]
        command = [*through, "env", *variables, sys.executable, "-m", "tests.cluster.watch"]
        watch = self.start(HEAD, command, log)
        wait_for(lambda: HEAD in self.alive() or watch.poll() is not None, PATIENCE_S, "the head")
        assert watch.poll() is None, log.read_text()[-3000:]

    def alive(self) -> set[str]:
        """The hosts that Ray takes for alive now, the head among them (watch.py tells)."""
        lines = (self.folder / "watch.log").read_text().splitlines()
        last = next((line for line in reversed(lines) if line.startswith("alive")), "alive")
        return {host for host, address in ADDRESSES.items() if address in last.split()}


@contextmanager
def spaces() -> Iterator[Hosts]:
    """Hosts on which nothing runs; whatever happens, nothing of them is left."""
    folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))  # a socket's path may have 107 characters
    clean = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    made = Hosts(
        folder=folder,
        environment=clean | CHECKS | {
            "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32), "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_ADDRESS": f"{ADDRESSES[HEAD]}:{PORT}", "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1",
            FOLDER: str(folder),
        },
    )  # fmt: skip
    try:
        _cable(made)
        yield made
    finally:
        for host in ADDRESSES:
            made.end(host)
        for node in made.nodes.values():
            node.wait(30)
        for host in ADDRESSES:
            subprocess.run(["ip", "netns", "del", made.space(host)], capture_output=True)  # takes its links along
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def hosts() -> Iterator[Hosts]:
    """Hosts that Ray runs on, all of them alive."""
    with spaces() as made:
        made.join(HEAD)
        made.watch()
        for host in ADDRESSES.keys() - {HEAD}:
            made.join(host)
        wait_for(lambda: made.alive() == set(ADDRESSES), PATIENCE_S, "the nodes")
        yield made


def _cable(made: Hosts) -> None:
    """Namespaces, a bridge in the head's, and a link from it to each node."""
    head = made.space(HEAD)
    for host in ADDRESSES:
        _ip("netns", "add", made.space(host))
        _ip("-n", made.space(host), "link", "set", "lo", "up")
    _ip("-n", head, "link", "add", "lan", "type", "bridge")
    for host in ADDRESSES.keys() - {HEAD}:
        space = made.space(host)
        _ip("-n", head, "link", "add", f"to-{host}", "type", "veth", "peer", "name", "lan", "netns", space)
        _ip("-n", head, "link", "set", f"to-{host}", "master", "lan", "up")
    for host, address in ADDRESSES.items():
        _ip("-n", made.space(host), "address", "add", f"{address}/24", "dev", "lan")
        _ip("-n", made.space(host), "link", "set", "lan", "up")


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)
