"""What a node shows before it gets work: that it sees the run, and is like those that time."""

import hashlib
import secrets
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import problems
import search
import spaces
from problems import Problem, Size, UserError
from problems.atomic_files import atomic_write
from problems.entrance.isolated import IsolatedProcess
from problems.provenance import digest
from problems.sources import ProblemSource
from search.run.environment import collect_environment, machine_kind
from search.run.nodes import NodeFacts
from search.run.origin import available_deployments, origin_hash
from search.run.spec import Transport
from spaces.availability import trainable_arithmetics
from spaces.restrictions import Restrictions
from spaces.space import Space

VISIBILITY_S = 10.0
"""Longest time after which a file that one machine writes is seen by another one [s]."""

POLL_S = 0.1

ARITHMETIC = "training.arithmetic"
"""The parameter of the space that is the arithmetic of trainings."""

PACKAGES = (problems, spaces, search)
"""The packages whose code a worker runs."""


@dataclass(frozen=True)
class Witness:
    """A file of random content in a folder that all nodes must share.

    Args:
        name: What the folder is, such as "the run".
        path: The file.
        content_hash: SHA-256 of its content.
    """

    name: str
    path: Path
    content_hash: str

    def reply_path(self, node: str) -> Path:
        """Return the file by which a node shows that it can write there."""
        return self.path.with_name(f"{self.path.name}.{node[:16]}")


@dataclass(frozen=True)
class Question:
    """What a node is asked.

    Args:
        witnesses: Files that it must see.
        source: Where it loads the problem from.
        size: Size of the problem.
        restrictions: Restrictions of the space.
        transport: What a node gets that doesn't see the witnesses: nothing, or files by Ray.
    """

    witnesses: tuple[Witness, ...]
    source: ProblemSource
    size: Size
    restrictions: Restrictions
    transport: Transport = Transport.SHARED

    def problem(self) -> Problem:
        """Return the problem as this machine loads it."""
        return self.source.load(None, self.size)


@contextmanager
def witnesses_in(folders: dict[str, Path]) -> Generator[tuple[Witness, ...]]:
    """Write a witness into each folder, and remove it and the replies to it at the end.

    Args:
        folders: Folders that all nodes must share, by what they are.
    """
    name = f".simstead-witness-{secrets.token_hex(8)}"
    written: list[Witness] = []
    try:
        for label, folder in folders.items():
            folder.mkdir(parents=True, exist_ok=True)
            content = secrets.token_bytes(32)
            with atomic_write(folder / name) as file:
                file.write(content)
            content_hash = hashlib.sha256(content).hexdigest()
            written.append(Witness(label, folder / name, content_hash))
        yield tuple(written)
    finally:
        for witness in written:
            for path in witness.path.parent.glob(f"{witness.path.name}*"):
                with suppress(OSError):
                    path.unlink()


def show(question: Question, node: str) -> NodeFacts | str:
    """Return what this machine shows, or the reason for which it can't do the work.

    Args:
        question: What is asked.
        node: Name of this node, for the replies to the witnesses.
    """
    must_share = question.transport is Transport.SHARED
    reason = unseen(question.witnesses, node, VISIBILITY_S if must_share else 0.0)
    if reason and must_share:
        return reason
    try:
        problem = question.problem()
        with IsolatedProcess() as process:
            process.start()
        facts = collect_facts(problem, question.restrictions)
        return facts.model_copy(update={"shares_folders": not reason})
    except UserError as error:
        return f"it can't load the problem: {error}"


def collect_facts(problem: Problem, restrictions: Restrictions) -> NodeFacts:
    """Return the facts of this machine.

    Args:
        problem: The problem as it was loaded here.
        restrictions: Restrictions of its space.
    """
    environment = collect_environment()
    return NodeFacts(
        host=environment.host,
        kind=machine_kind(),
        python=environment.python,
        versions=environment.versions,
        code_hash=_code_hash(),
        problem_hash=origin_hash(problem),
        deployments=available_deployments(Space(problem, restrictions)),
        arithmetics=tuple(restrictions.options(ARITHMETIC, [*map(str, trainable_arithmetics())])),
    )


def refusal(shown: NodeFacts, expected: NodeFacts) -> str:
    """Return the reason for which a node gets no work, "" for none.

    Args:
        shown: What it has shown.
        expected: The facts of a node that times, with the driver's versions and code.
    """
    names = shown.versions.keys() | expected.versions.keys()
    versions = {name: (shown.versions.get(name), expected.versions.get(name)) for name in names}
    versions["Python"] = (shown.python, expected.python)
    for name, (there, here) in sorted(versions.items()):
        if there != here:
            return f"it has {name} {there}, the driver {here}: install the same version there"
    if shown.code_hash != expected.code_hash:
        return "its code of simstead differs from the driver's: install the same commit there"
    if shown.problem_hash != expected.problem_hash:
        return "it has another version of the problem's code or data files than the driver"
    missing = sorted(set(expected.deployments) - set(shown.deployments))
    if missing and shown.kind == expected.kind:  # another kind trains only
        return f"it can't deploy {', '.join(missing)}"
    untrainable = sorted(set(expected.arithmetics) - set(shown.arithmetics))
    if untrainable:
        kept = ",".join(shown.arithmetics)
        return (
            f"it can't train in {', '.join(untrainable)}, which this search tries; it can with "
            f"--only {ARITHMETIC}={kept}"
        )
    return ""


def unanswered(witnesses: Sequence[Witness], node: str) -> str:
    """Return the reason for which a node's replies don't reach this machine, "" if they do.

    Args:
        witnesses: The witnesses that the node has seen.
        node: Name of the node.
    """
    for witness in witnesses:
        reply = _awaited(witness.reply_path(node), VISIBILITY_S)
        if reply is None or reply.decode(errors="replace") != witness.content_hash:
            return (
                f"what it writes into {witness.name} ({witness.path.parent}) isn't seen by the "
                "driver: share the folder, not a copy of it"
            )
    return ""


def unseen(witnesses: Sequence[Witness], node: str, wait_s: float) -> str:
    """Return why this machine doesn't share the folders of witnesses, "" if it does.

    Args:
        witnesses: The witnesses, to each of which it replies.
        node: Name of this node.
        wait_s: Longest time in which a witness appears [s].
    """
    reasons = (_unseen(witness, node, wait_s) for witness in witnesses)
    return next(filter(None, reasons), "")


def _unseen(witness: Witness, node: str, wait_s: float) -> str:
    """Return why this machine doesn't see a witness or can't reply, "" if it does and can."""
    folder, content = witness.path.parent, _awaited(witness.path, wait_s)
    if content is None:
        return f"it doesn't see {witness.name} ({folder}): put it on a file system of all nodes"
    if hashlib.sha256(content).hexdigest() != witness.content_hash:
        return f"it sees another content in {witness.name} ({folder})"
    try:
        with atomic_write(witness.reply_path(node)) as file:
            file.write(witness.content_hash.encode())
    except OSError as error:
        return f"it can't write into {witness.name} ({folder}): {error.strerror or error}"
    return ""


def _awaited(path: Path, wait_s: float) -> bytes | None:
    """Return the content of a file that another machine has written, None if it doesn't appear."""
    until = time.monotonic() + wait_s
    while True:
        try:
            return path.read_bytes()
        except OSError:
            if time.monotonic() > until:
                return None
        with suppress(OSError):  # a client that keeps an old listing asks the server again
            list(path.parent.iterdir())
        time.sleep(POLL_S)


def _code_hash() -> str:
    """Return the hash of simstead's own code."""
    folders = [Path(package.__path__[0]) for package in PACKAGES]
    files = [(folder, path) for folder in folders for path in sorted(folder.rglob("*.py"))]
    return digest([[str(p.relative_to(f.parent)), p.read_text("utf-8")] for f, p in files])
