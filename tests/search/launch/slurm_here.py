"""A whole Slurm on loopback, in a folder: munged, slurmctld and two slurmd, without /etc."""

import os
import platform
import shutil
import signal
import socket
import subprocess
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from getpass import getuser
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from tests.search.launch.conftest import wait_until

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun")
NODES = ("n1", "n2")
START_S = 60.0

CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/run/munge,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/run/slurmctld.pid
SlurmdPidFile={folder}/run/%n.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SlurmdTimeout=20
KillWait=5
MessageTimeout=30
SchedulerParameters=sched_interval=1,batch_sched_delay=0,sched_min_interval=0
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=2 RealMemory=4000
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=2 RealMemory=4000
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def missing_programs() -> str:
    """Return the programs of Slurm that aren't here."""
    places = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    return ", ".join(name for name in PROGRAMS if shutil.which(name, path=places) is None)


class SlurmHere:
    """Two nodes of two cores, in a folder.

    Args:
        folder: The folder.
        env: The environment of commands.
    """

    def __init__(self, folder: Path, env: Mapping[str, str]) -> None:
        self.folder = folder
        self.env = {**env, "SLURM_CONF": str(folder / "slurm.conf")}
        self.env["PATH"] = f"{env['PATH']}:/usr/sbin:/sbin"
        for name in ("state", "spool/n1", "spool/n2", "log", "run"):
            (folder / name).mkdir(parents=True)
        folder.chmod(0o755)
        with ExitStack() as stack:  # all bound at once, so that they differ
            sockets = [stack.enter_context(socket.socket()) for _ in range(3)]
            for each in sockets:
                each.bind(("127.0.0.1", 0))
            ports = [each.getsockname()[1] for each in sockets]
        host = platform.node().partition(".")[0]
        (folder / "slurm.conf").write_text(
            CONFIGURATION.format(folder=folder, host=host, user=getuser(), ports=ports)
        )
        key = folder / "munge.key"
        key.touch(0o600)
        key.write_bytes(os.urandom(128))

    def start(self) -> None:
        """Start it, and wait until both nodes are idle."""
        folder = self.folder
        self.run(
            *("munged", f"--key-file={folder}/munge.key", f"--socket={folder}/run/munge"),
            *(f"--pid-file={folder}/run/munged.pid", f"--log-file={folder}/log/munged.log"),
            *(f"--seed-file={folder}/munge.seed", "--num-threads=2", "--force"),
        )
        self.run("slurmctld")
        for node in NODES:
            self.start_node(node)
        wait_until(
            lambda: self.run("sinfo", "-h", "-t", "idle", "-o", "%D").strip() == "2", START_S
        )

    def start_node(self, node: str) -> None:
        """Start the slurmd of a node.

        Args:
            node: Name of the node.
        """
        self.run("slurmd", "-N", node)

    def kill_node(self, node: str) -> None:
        """Kill the slurmd of a node and all that its jobs have started, as when it loses power.

        Args:
            node: Name of the node.
        """
        daemon = psutil.Process(int((self.folder / "run" / f"{node}.pid").read_text()))
        steps = [each for each in psutil.process_iter() if self._step_of(each) == node]
        for process in (daemon, *(p for step in steps for p in (step, *step.children(True)))):
            with suppress(psutil.NoSuchProcess):
                process.kill()

    def run(self, *command: str) -> str:
        """Return what a command prints.

        Args:
            *command: The command.
        """
        found = shutil.which(command[0], path=self.env["PATH"]) or command[0]
        done = subprocess.run(
            [found, *command[1:]], env=self.env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def close(self) -> None:
        """End it, by the numbers of its processes."""
        with suppress(AssertionError):
            for job in self.run("squeue", "-h", "-o", "%A").split():
                self.run("scancel", job)
            wait_until(lambda: not self.run("squeue", "-h"), 20.0)
        for name in (*NODES, "slurmctld", "munged"):
            with suppress(OSError, ValueError):
                os.kill(int((self.folder / "run" / f"{name}.pid").read_text()), signal.SIGTERM)

    def _step_of(self, process: psutil.Process) -> str:
        """Return the node of a process that runs the tasks of a job, "" for other processes."""
        with suppress(psutil.Error):
            if process.name() == "slurmstepd":
                return process.environ().get("SLURMD_NODENAME", "") or self._node_of(process)
        return ""

    def _node_of(self, process: psutil.Process) -> str:
        names = {child.environ().get("SLURMD_NODENAME", "") for child in process.children()}
        return next((name for name in names if name), "")


@contextmanager
def started_slurm(env: Mapping[str, str]) -> Generator[SlurmHere]:
    """Start a Slurm and end it.

    Args:
        env: The environment of commands.
    """
    with TemporaryDirectory(prefix="slurm-", ignore_cleanup_errors=True) as folder:
        slurm = SlurmHere(Path(folder), env)
        try:
            slurm.start()
            yield slurm
        finally:
            slurm.close()
