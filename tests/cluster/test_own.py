"""`ray up docs/cluster-own.yaml`, as it stands, brings up a head and two nodes over ssh."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.hosts import ADDRESSES, HEAD, PATIENCE_S, RAY, Hosts, obstacle, spaces
from tests.commands import ROOT
from tests.faults.processes import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.alone, pytest.mark.timeout(600)]
SSHD = "/usr/sbin/sshd"
# A machine of its own as far as ssh, Ray and `ray stop` can see: processes, user and files under /tmp/ray.
MACHINE = """
set -e
mount -t tmpfs tmpfs /run
mkdir /run/sshd
mount --bind {folder}/passwd-{host} /etc/passwd
mount --bind {folder}/ray-{host} /tmp/ray
exec {sshd} -D -e -f /dev/null -p 22 -h {folder}/key -o AuthorizedKeysFile={folder}/key.pub -o StrictModes=no \
    -o UsePAM=no -o PidFile=none
"""


@pytest.fixture
def machines() -> Iterator[Hosts]:
    """Three hosts with an sshd each that takes the client's key; skipped where this machine cannot have them."""
    tools = {SSHD: "openssh-server", "ssh": "openssh-client", "rsync": "rsync", "unshare": "util-linux"}
    missing = [package for tool, package in tools.items() if not shutil.which(tool)]
    if why := obstacle() or (f"missing (Debian: apt-get install {' '.join(missing)})" if missing else ""):
        pytest.skip(why)
    Path("/tmp/ray").mkdir(exist_ok=True)
    with spaces() as made:
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", made.folder / "key"], check=True)
        for host in ADDRESSES:
            _home(made, host)
            script = MACHINE.format(folder=made.folder, host=host, sshd=SSHD)
            command = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c", script]
            made.nodes[host] = made.start(host, command, made.folder / f"{host}.log")
        for host in ADDRESSES:
            log = made.folder / f"{host}.log"
            wait_for(lambda log=log: "Server listening" in log.read_text(), PATIENCE_S, f"sshd of {host}")
        yield made


def _home(made: Hosts, host: str) -> None:
    """What docs/cluster-own.yaml asks of each machine, in the home of a user `synthmark`."""
    home = made.folder / f"home-{host}"
    for folder in (home / "synthmark", home / ".ray", home / ".ssh", made.folder / f"ray-{host}"):
        folder.mkdir(parents=True)
    (home / "synthmark" / ".venv").symlink_to(sys.prefix)
    token = home / ".ray" / "auth_token"
    token.touch(0o600)
    token.write_text(made.environment["RAY_AUTH_TOKEN"])
    shutil.copy(made.folder / "key", home / ".ssh" / "id_ed25519")
    accounts = Path("/etc/passwd").read_text()
    account = f"synthmark:x:0:0::{home}:/bin/bash\n"  # first: root's own number is its, and ssh's ~ its home
    (made.folder / f"passwd-{host}").write_text(account + accounts)


def _ssh(made: Hosts) -> list[str]:
    """What begins a command of the user on the head."""
    options = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-i", str(made.folder / "key")]
    return ["ssh", *options, f"synthmark@{ADDRESSES[HEAD]}"]


def _nodes(made: Hosts) -> set[str]:
    """The hosts on which Ray's node process runs."""
    return {
        host
        for host in ADDRESSES
        for pid in made.processes(host)
        if Path(f"/proc/{pid}/comm").exists() and Path(f"/proc/{pid}/comm").read_text() == "raylet\n"
    }


def test_the_documented_file_brings_machines_up(machines: Hosts) -> None:
    log = machines.folder / "up.log"
    command = [RAY, "up", "--no-config-cache", "-y", str(ROOT / "docs" / "cluster-own.yaml")]
    running = machines.start(HEAD, [*_ssh(machines), *command], log)
    assert running.wait(PATIENCE_S) == 0, log.read_text()[-5000:]
    machines.watch(*_ssh(machines))
    wait_for(lambda: machines.alive() == set(ADDRESSES), PATIENCE_S, "both nodes join")
    assert _nodes(machines) == set(ADDRESSES)
