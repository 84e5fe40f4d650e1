"""What a site asks of its jobs: a file of YAML, checked before anything is submitted."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field, StringConstraints, ValidationError
from pydantic.functional_validators import AfterValidator

from problems.errors import UnknownNameError, UserError
from spaces.candidate import FrozenModel

PROFILE_SUFFIX = ".yaml"

DEFAULT_PROFILE = "default"
"""Name of the profile that is used where none is named, if the user has written one."""

NODE_FOLDER = "/sst.XXXXXX/r"
"""What Ray's temporary folder on a node adds to the site's; see mktemp(1)."""

LONGEST_TEMPORARY_PATH = 43
"""Bytes of Ray's temporary folder: Ray adds 64 for its sockets, whose paths have 107 at most."""

MEMORY_UNITS = {"M": 2**20, "G": 2**30, "T": 2**40}


def _one_line(text: str) -> str:
    if not text.isprintable():
        raise ValueError("it has to be one line of printable characters")
    return text


def _absolute(text: str) -> str:
    if not text.startswith("/"):
        raise ValueError("it has to be an absolute path")
    return _without_pattern(text)


def _without_pattern(text: str) -> str:
    if set(text) & set('"\\%:,'):
        raise ValueError('it may have none of " \\ % : and ,')
    return _one_line(text)


def _short_enough(text: str) -> str:
    length = len(os.fsencode(text + NODE_FOLDER))
    if length > LONGEST_TEMPORARY_PATH:
        raise ValueError(
            f"it has {len(os.fsencode(text))} bytes, "
            f"{LONGEST_TEMPORARY_PATH - len(NODE_FOLDER)} are allowed: "
            "sockets lie in it, whose paths are short"
        )
    return text


Word = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9_(\[][A-Za-z0-9_.,:@+=%/&|*()\[\]-]*$")
]
"""A name in a batch system: one word that is no option."""

BatchOption = Annotated[
    str, StringConstraints(pattern=r"^--?[A-Za-z][A-Za-z-]*([= ][A-Za-z0-9_.,:@+=%/&|*()\[\]-]+)?$")
]
"""An option of a batch system, with its value."""

Line = Annotated[str, AfterValidator(_one_line)]
AbsolutePath = Annotated[str, AfterValidator(_absolute)]
TemporaryPath = Annotated[str, AfterValidator(_absolute), AfterValidator(_short_enough)]
MemorySize = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]*[MGT]$")]
"""Memory as batch systems write it, such as 16G."""


class SiteProfile(FrozenModel):
    """What a site asks of its jobs; every field may be left out."""

    partition: Word | None = Field(default=None, description="Partition (Slurm) or queue (PBS).")
    account: Word | None = Field(default=None, description="Account that pays for the jobs.")
    qos: Word | None = Field(default=None, description="Quality of service (Slurm).")
    constraint: Word | None = Field(
        default=None, description="Features that nodes must have (Slurm)."
    )
    cores: int | None = Field(
        default=None, ge=1, description="Cores of a node that a job takes; --cores overrides it."
    )
    memory: MemorySize | None = Field(
        default=None,
        description="Memory of a node that a job takes, such as 16G; --memory overrides it.",
    )
    options: tuple[BatchOption, ...] = Field(
        default=(),
        description="Further options of sbatch or qsub, such as --gres=gpu:1 or --exclusive.",
    )
    leave_out: tuple[BatchOption, ...] = Field(
        default=(), description="Options that the site refuses, such as --mem."
    )
    requeue: bool = Field(
        default=True,
        description="Whether a job may be requeued (Slurm); where not, it submits its successor.",
    )
    modules: tuple[Word, ...] = Field(default=(), description="Environment modules to be loaded.")
    setup: tuple[Line, ...] = Field(
        default=(), description="Lines of shell that run on every node before anything else."
    )
    start_command: tuple[Line, ...] = Field(
        default=(),
        description="Command that starts one process on every node, in place of srun or pbsdsh; "
        "the process and its arguments follow.",
    )
    container: AbsolutePath | None = Field(
        default=None, description="Image of Apptainer in which Python and simstead are on the PATH."
    )
    container_options: tuple[Line, ...] = Field(
        default=(),
        description="Options of apptainer exec, such as --nv; run, cache, the temporary folder and "
        "that of the problem are bound anyway.",
    )
    interface: Word | None = Field(
        default=None, description="Network interface of the nodes for Ray, such as ib0."
    )
    temporary_folder: TemporaryPath = Field(
        default="/tmp",  # noqa: S108 - a folder of its own is made in it
        description="Folder of a node for temporary files, of at most "
        f"{LONGEST_TEMPORARY_PATH - len(NODE_FOLDER)} bytes.",
    )
    shared_folders: tuple[AbsolutePath, ...] = Field(
        default=(),
        description="Folders that all nodes share; by default all that aren't on the file system "
        "of the temporary folder.",
    )
    image: Line | None = Field(
        default=None, description="Image of the containers, with simstead (Kubernetes)."
    )
    volume_claim: Word | None = Field(
        default=None,
        description="Persistent volume claim of the first of the shared folders (Kubernetes).",
    )
    namespace: Word | None = Field(default=None, description="Namespace of the job (Kubernetes).")


def profile_folder() -> Path:
    """Return the folder of the user's profiles."""
    config = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(config) / "simstead" / "profiles"


def read_profile(name: str | None) -> SiteProfile:
    """Return a site profile.

    Args:
        name: Name of a profile of the user, or the path of a file; None for the default one, which
            is empty unless the user has written one.

    Raises:
        UserError: The file can't be read, or a value in it is wrong.
        UnknownNameError: The user has no such profile.
    """
    folder = profile_folder()
    if name is None:
        default = folder / f"{DEFAULT_PROFILE}{PROFILE_SUFFIX}"
        return _read(default) if default.is_file() else SiteProfile()
    if "/" in name or name.endswith(PROFILE_SUFFIX):
        return _read(Path(name))
    path = folder / f"{name}{PROFILE_SUFFIX}"
    if not path.is_file():
        raise UnknownNameError(
            "profile", name, [each.stem for each in folder.glob(f"*{PROFILE_SUFFIX}")]
        )
    return _read(path)


def describe_profile(profile: SiteProfile) -> list[str]:
    """Return the lines that explain a profile: each field with its value.

    Args:
        profile: The profile.
    """
    lines: list[str] = []
    for name, field in SiteProfile.model_fields.items():
        value = getattr(profile, name)
        shown = ", ".join(value) if isinstance(value, tuple) else value
        lines.append(f"{name}: {'not set' if shown in {None, ''} else shown}")
        lines.append(f"    {field.description}")
    return lines


def memory_bytes(size: str) -> int:
    """Return the bytes of a memory size such as 16G."""
    return int(size[:-1]) * MEMORY_UNITS[size[-1]]


def describe_violation(error: ValidationError) -> str:
    """Return the first violation of a profile or launch in words, with the name of the field."""
    first = error.errors()[0]
    name, *rest = first["loc"] or ("?",)
    place = f"{name}[{rest[0]}]" if rest and isinstance(rest[0], int) else str(name)
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        return str(UnknownNameError("field", str(name), SiteProfile.model_fields))
    if first["type"] == "string_pattern_mismatch":
        message = (
            "write it as 16G" if name == "memory" else "it has characters that have no place there"
        )
    return f"{place} is {first['input']!r}: {message}"


def _read(path: Path) -> SiteProfile:
    try:
        content: Any = yaml.load(path.read_text(encoding="utf-8"), yaml.BaseLoader)  # noqa: S506 - it makes texts only
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UserError(f"profile {path} can't be read ({reason})") from None
    except yaml.YAMLError as error:
        raise UserError(f"profile {path} is no YAML: {' '.join(str(error).split())}") from None
    try:
        return SiteProfile.model_validate(content or {})
    except ValidationError as error:
        raise UserError(
            f"profile {path}: {describe_violation(error)}; simstead launch --show-profile explains "
            "each field"
        ) from None


def options_left(options: Sequence[str], left_out: Sequence[str]) -> list[str]:
    """Return the options of a job without those that the site refuses.

    Args:
        options: Options such as --mem=16G.
        left_out: Names of options, such as --mem.
    """
    return [option for option in options if option.partition("=")[0] not in left_out]
