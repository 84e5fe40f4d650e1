"""Searches as RayJobs of Kubernetes."""

import gzip
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from problems import UserError
from search.launch.kuberay import ray_job
from search.launch.launched import LaunchSystem
from search.launch.site_profile import SiteProfile
from tests.search.launch.conftest import make_launch

RUN = Path("/runs/My first run; $(touch x)")
CRD = Path(__file__).parents[4] / "shared" / "cluster" / "kuberay" / "rayjobs-crd.yaml.gz"
PROFILE = SiteProfile(
    image="registry.example/simstead:0.1",
    volume_claim="runs",
    shared_folders=("/runs",),
    namespace="climate",
)
LAUNCH = make_launch(
    system=LaunchSystem.KUBERAY,
    profile=PROFILE,
    program_folder=None,
    workers=6,
    kind="EPYC $(touch x)",
)


def strict(schema: Any) -> Any:
    """Return a schema of Kubernetes as JSON Schema that refuses what it doesn't name."""
    if isinstance(schema, list):
        return [strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    present = {
        name: {n: strict(v) for n, v in value.items()} if name == "properties" else strict(value)
        for name, value in schema.items()
    }
    if present.pop("x-kubernetes-int-or-string", False):
        present["type"] = ["integer", "string"]
    if present.get("type") == "object" and "properties" in present:
        present.setdefault("additionalProperties", False)
    return present


def test_the_job_is_one_of_kuberay() -> None:
    if not CRD.exists():
        pytest.skip(f"no definition of RayJobs here ({CRD})")
    definition = yaml.load(gzip.decompress(CRD.read_bytes()), yaml.CSafeLoader)
    job = yaml.safe_load(ray_job(RUN, LAUNCH))
    versions = [each for each in definition["spec"]["versions"] if each["name"] == "v1"]
    for version in versions:
        schema = strict(version["schema"]["openAPIV3Schema"])
        schema["properties"]["metadata"] = {"type": "object"}
        errors = list(jsonschema.Draft7Validator(schema).iter_errors(job))
        assert not errors
    assert versions


def test_names_are_those_that_kubernetes_takes() -> None:
    job = yaml.safe_load(ray_job(RUN, LAUNCH))
    assert job["metadata"] == {"name": "simstead-my-first-run----touch-x", "namespace": "climate"}
    (workers,) = job["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    (container,) = workers["template"]["spec"]["containers"]
    assert workers["replicas"] == 2
    assert container["resources"]["limits"] == {"cpu": "4", "memory": "8Gi"}
    assert job["spec"]["rayClusterSpec"]["authOptions"] == {"mode": "token"}


@pytest.mark.parametrize("stopped", [False, True])
def test_a_stopped_run_is_not_begun_again(tmp_path: Path, *, stopped: bool) -> None:
    run = tmp_path / "it's; touch x"
    (run / "cluster").mkdir(parents=True)
    if stopped:
        (run / "cluster" / "stop").touch()
    entrypoint = yaml.safe_load(ray_job(run, LAUNCH))["spec"]["entrypoint"]
    (tmp_path / "simstead").write_text('#!/bin/bash\nprintf "%s|" "$@"')
    (tmp_path / "simstead").chmod(0o700)
    done = subprocess.run(
        ["/bin/bash", "-c", entrypoint],
        cwd=tmp_path,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    told = f"resume|{run}|--address|auto|--workers=6|--kind=EPYC $(touch x)|"
    assert done.stdout == ("" if stopped else told)
    assert not (tmp_path / "x").exists()


def test_what_kubernetes_needs_is_told() -> None:
    with pytest.raises(UserError, match="needs image, volume_claim, shared_folders in the site"):
        ray_job(RUN, make_launch(system=LaunchSystem.KUBERAY))
