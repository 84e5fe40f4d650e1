"""Site profiles: every value is checked before it can reach a script."""

from pathlib import Path

import pytest
import yaml

from problems import UserError
from search.launch.site_profile import SiteProfile, describe_profile, read_profile

HOSTILE = (
    "a;touch x",
    "a b",
    "a\n#SBATCH --uid=0",
    "$(touch x)",
    "`touch x`",
    "--wrap",
    'a"b',
    "a'b",
)


def written(folder: Path, text: str) -> str:
    path = folder / "site.yaml"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize("field", ["partition", "account", "qos", "constraint", "interface"])
def test_names_that_are_no_words_are_refused(tmp_path: Path, field: str, hostile: str) -> None:
    with pytest.raises(UserError, match=f"profile .*: {field} is "):
        read_profile(written(tmp_path, yaml.safe_dump({field: hostile})))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("partitoin: main", "did you mean 'partition'"),
        ("cores: many", "cores is 'many'"),
        ("cores: 0", "cores is '0'"),
        ("memory: 16 gigabytes", "memory is '16 gigabytes'"),
        ("modules: [gcc, 'a;b']", r"modules\[1\] is 'a;b'"),
        ("options: ['--gres=gpu:1', gres]", r"options\[1\] is 'gres'"),
        ("options: ['--comment=a;b']", r"options\[0\]"),
        ('setup: ["a\\nb"]', "one line of printable characters"),
        ("container: image.sif", "absolute path"),
        ("temporary_folder: /a/long/path/to/a/folder/of/a/node", "has 34 bytes, 30 are allowed"),
        ("shared_folders: [scratch]", "absolute path"),
        ("- a", "profile"),
        ("a: [", "is no YAML"),
    ],
)
def test_mistakes_are_told_with_the_field(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_profile(written(tmp_path, text))


def test_a_profile_of_words_is_read(tmp_path: Path) -> None:
    text = "partition: gpu\nconstraint: '[rack1*2&rack2]'\ncores: 32\nmemory: 64G\nrequeue: false\n"
    profile = read_profile(written(tmp_path, text))
    assert (profile.cores, profile.memory, profile.requeue) == (32, "64G", False)
    assert profile.constraint == "[rack1*2&rack2]"


def test_profiles_are_found_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert read_profile(None) == SiteProfile()
    folder = tmp_path / "simstead" / "profiles"
    folder.mkdir(parents=True)
    (folder / "default.yaml").write_text("qos: long")
    (folder / "other.yaml").write_text("qos: short")
    assert read_profile(None).qos == "long"
    assert read_profile("other").qos == "short"
    with pytest.raises(UserError, match="did you mean 'other'"):
        read_profile("othr")
    with pytest.raises(UserError, match="can't be read"):
        read_profile("./none.yaml")


def test_every_field_is_explained() -> None:
    lines = describe_profile(SiteProfile(partition="gpu", modules=("gcc", "cuda")))
    assert "partition: gpu" in lines
    assert "modules: gcc, cuda" in lines
    assert "qos: not set" in lines
    assert len(lines) == 2 * len(SiteProfile.model_fields)
    assert all(field.description for field in SiteProfile.model_fields.values())
