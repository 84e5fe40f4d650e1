"""What is checked before anything is submitted: folders that all nodes see."""

import re
from collections.abc import Mapping
from pathlib import Path

from problems.errors import UserError
from search.launch.site_profile import SiteProfile

TIME_LIMIT = re.compile(r"(?:(?P<days>\d+)-)?(?P<parts>\d+(?::\d+){0,2})")

SHORTEST_TIME_S = 120
"""Shortest time limit [s]: Ray starts, the driver imports, and ends half a minute early."""


def parse_time_limit(text: str) -> int:
    """Return a time limit [s] that is written as Slurm's.

    Args:
        text: MINUTES, MINUTES:SECONDS, HOURS:MINUTES:SECONDS, or with DAYS- before HOURS,
            HOURS:MINUTES or HOURS:MINUTES:SECONDS.

    Raises:
        UserError: It isn't, or the time is too short for a search.
    """
    found = TIME_LIMIT.fullmatch(text.strip())
    if found is None:
        raise UserError(f"--time must be minutes, H:MM:SS or D-HH:MM:SS, not {text}")
    parts = [int(part) for part in found["parts"].split(":")]
    if found["days"] is None:
        hours, minutes, seconds = {1: [0, *parts, 0], 2: [0, *parts], 3: parts}[len(parts)]
    else:
        hours, minutes, seconds = [*parts, 0, 0][:3]
    time_s = ((int(found["days"] or 0) * 24 + hours) * 60 + minutes) * 60 + seconds
    if time_s < SHORTEST_TIME_S:
        raise UserError(f"--time must be {SHORTEST_TIME_S // 60} minutes or more, not {text}")
    return time_s


def check_shared(folders: Mapping[str, Path], profile: SiteProfile) -> None:
    """Check that folders lie where all nodes see them, as far as this machine can tell.

    Args:
        folders: Each folder by what it is.
        profile: The site's profile, which may name the shared folders.

    Raises:
        UserError: A folder doesn't.
    """
    for name, folder in folders.items():
        path = folder.resolve()
        if profile.shared_folders:
            if not any(path.is_relative_to(shared) for shared in profile.shared_folders):
                raise UserError(
                    f"{name} ({path}) lies in none of the profile's shared_folders "
                    f"({', '.join(profile.shared_folders)}); move it there"
                )
        elif _device(path) == _device(Path(profile.temporary_folder)):
            raise UserError(
                f"{name} ({path}) lies on the file system of {profile.temporary_folder}, which is "
                "a node's own; move it to one that all nodes share, or name that in the profile's "
                "shared_folders"
            )


def _device(path: Path) -> int:
    """Return the file system of a path, or of the folder in which it would be made."""
    there = next(each for each in (path, *path.parents) if each.exists())
    return there.stat().st_dev
