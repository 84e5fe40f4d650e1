"""docs/clusters.md: from the login node to the report, with programs that stand in for Slurm."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from typer.main import get_command

from problems import UserError
from problems.template.write import write_template
from search.commands.main import app
from search.launch.job_words import ENDINGS
from search.launch.launched import LaunchFolder
from search.launch.site_profile import SiteProfile, profile_folder

PAGE = Path(__file__).parents[3] / "docs" / "clusters.md"

SBATCH = 'case "$*" in *test-only*) ;; *) echo $(wc -l < "$0.calls") ;; esac'


def blocks() -> list[str]:
    return re.findall(
        r"^```\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )


def test_the_commands_lead_from_the_login_node_to_the_report(
    tmp_path: Path,
    programs: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("SIMSTEAD_CACHE", str(tmp_path / "cache"))
    write_template("my_problem", tmp_path)
    profile_folder().mkdir(parents=True)
    (profile_folder() / "default.yaml").write_text("cores: 4\nshared_folders: [/]\n")
    for name in ("squeue", "scancel", "sacct"):
        programs(name)
    programs("sbatch", SBATCH)
    run = tmp_path / "first"
    commands = [shlex.split(line) for line in blocks()[0].splitlines()]
    assert len(commands) == 10
    for command in commands:
        assert command[0] == "simstead"
        arguments = [word.replace("/shared", str(tmp_path)) for word in command[1:]]
        if "--more-jobs" in arguments:  # the job has begun meanwhile
            programs("squeue", "echo '2|RUNNING|None|n1|N/A|N/A'")
        elif command[1] == "stop":
            programs("squeue")
        if command[1] == "logs":
            with pytest.raises(UserError, match=r"no job of .* has begun"):
                get_command(app)(arguments, standalone_mode=False)
        else:
            get_command(app)(arguments, standalone_mode=False)
        assert run.exists() == (commands.index(command) >= 3)
    printed = capsys.readouterr().out
    assert "submitted the job: 2" in printed
    assert "state        launched; no driver now" in printed
    assert "submitted a joining job" in printed
    launch = LaunchFolder(run).launch()
    assert launch is not None
    assert [job.joins for job in launch.jobs] == [False, True, True, False]
    assert not LaunchFolder(run).stop_requested


def test_the_page_has_a_remedy_for_each_way_to_fail() -> None:
    symptoms = re.findall(r"^\| `(.+?)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    for name in ("failed", "stuck", "restarts", "refused", "head", "program", "temporary"):
        assert any(symptom in ENDINGS[name] for symptom in symptoms), ENDINGS[name]


def test_the_profile_of_the_page_is_one() -> None:
    text = next(block for block in blocks() if block.startswith("partition:"))
    profile = SiteProfile.model_validate(yaml.load(text, yaml.BaseLoader))  # noqa: S506 - it makes texts only
    assert profile.leave_out == ("--mem",)
    assert profile.requeue is False
