"""The nodes of a run's cluster: what each showed, and whether it gets work."""

from enum import StrEnum

from spaces.candidate import FrozenModel


class NodeState(StrEnum):
    """Whether a node gets work: it is admitted, refused, or no longer there."""

    ADMITTED = "admitted"
    REFUSED = "refused"
    GONE = "gone"


class NodeFacts(FrozenModel):
    """What a node shows of its machine, its code and the problem.

    Args:
        host: Name of the machine.
        kind: Its processor, cores and GPU: nodes of one kind time, others train only.
        python: Version of Python.
        versions: Versions of the libraries.
        code_hash: Hash of simstead's own code.
        problem_hash: Hash of the problem's code and values, as in the run's spec.
        deployments: Precisions by runtimes that are available.
        arithmetics: Arithmetics in which it can train.
        shares_folders: Whether it sees the folders of the run and the cache.
    """

    host: str
    kind: str
    python: str
    versions: dict[str, str]
    code_hash: str
    problem_hash: str
    deployments: tuple[str, ...]
    arithmetics: tuple[str, ...] = ()
    shares_folders: bool = True


class NodeStatus(FrozenModel):
    """A node of the cluster, as `simstead status` shows it.

    Args:
        address: Its IP address.
        host: Name of its machine, "" if it didn't say.
        cores: Cores that it offers.
        kind: Its processor, cores and GPU, "" if it didn't say.
        trains_only: Whether it is of another kind than the deployment's, and so times nothing.
        shares_folders: Whether it sees the folders of the run and the cache; else files are sent.
        state: Whether it gets work.
        reason: Why it gets none.
        lost: Trials and tasks that were lost with it.
    """

    address: str
    host: str = ""
    cores: int
    kind: str = ""
    trains_only: bool = False
    shares_folders: bool = True
    state: NodeState
    reason: str = ""
    lost: int = 0

    @property
    def description(self) -> str:
        """The node in words."""
        name = f"{self.address} ({self.host})" if self.host else self.address
        cores = f"{self.cores} core{'s' if self.cores != 1 else ''}"
        limit = "trains only" if self.trains_only else ""
        files = "" if self.shares_folders else "is sent its files"
        parts = [f"{name} {self.state}", cores, self.kind, limit, files, self.reason]
        return ", ".join([*filter(None, parts), *([f"lost {self.lost}"] if self.lost else [])])


class ClusterStatus(FrozenModel):
    """The nodes of the latest session of a run, by address, and the kind of those that time."""

    kind: str = ""
    nodes: tuple[NodeStatus, ...] = ()
