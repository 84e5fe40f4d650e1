"""KubeRay: a search as a RayJob of Kubernetes, written as YAML."""

import shlex
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from problems.errors import UserError
from search.launch.launched import CLUSTER_FOLDER, Launch
from search.launch.scripts import driver_options, job_name
from search.launch.site_profile import SiteProfile

MANIFEST = "rayjob.yaml"

NEEDED = ("image", "volume_claim", "shared_folders")
"""Fields of the site profile without which there is no RayJob."""

HEAD_CORES = 2
"""Cores of the head, on which the driver runs and nothing is trained."""

KEPT_S = 3600
"""Time for which Kubernetes keeps a job that has ended [s]."""


def ray_job(run: Path, launch: Launch) -> str:
    """Return the YAML of a RayJob that runs a search.

    KubeRay makes Ray's token, a secret of the cluster. A job that failed is begun again: so an
    interrupted search goes on, and a stopped one ends.

    Args:
        run: The run directory, which has the same path in the containers.
        launch: What is launched.

    Raises:
        UserError: The site profile lacks what Kubernetes needs.
    """
    profile = launch.profile
    missing = [name for name in NEEDED if not getattr(profile, name)]
    missing += [] if launch.memory else ["memory"]
    if missing:
        raise UserError(
            f"kuberay needs {', '.join(missing)} in the site profile; simstead launch "
            "--show-profile explains each field"
        )
    workers = {
        "groupName": "workers",
        "replicas": launch.nodes,
        "minReplicas": launch.nodes,
        "maxReplicas": launch.nodes,
        **_group(launch, "worker", launch.cores, launch.cores),
    }
    job = {
        "apiVersion": "ray.io/v1",
        "kind": "RayJob",
        "metadata": _metadata(run, profile),
        "spec": {
            "entrypoint": _entrypoint(run, launch),
            "submissionMode": "K8sJobMode",
            "backoffLimit": launch.max_restarts,
            "shutdownAfterJobFinishes": True,
            "ttlSecondsAfterFinished": KEPT_S,
            "rayClusterSpec": {
                "rayVersion": version("ray"),
                "authOptions": {"mode": "token"},
                "headGroupSpec": _group(launch, "head", HEAD_CORES, 0),
                "workerGroupSpecs": [workers],
            },
        },
    }
    return yaml.safe_dump(job, sort_keys=False)


def _metadata(run: Path, profile: SiteProfile) -> dict[str, str]:
    """Return the name, of the letters, digits and hyphens that Kubernetes takes, and namespace."""
    name = job_name(run).lower().replace("_", "-").replace(".", "-").strip("-")[:47]
    return {"name": name} | ({"namespace": profile.namespace} if profile.namespace else {})


def _entrypoint(run: Path, launch: Launch) -> str:
    """Return the command of the driver, which does nothing once the run was stopped."""
    command = ["simstead", "resume", str(run), "--address", "auto", *driver_options(launch)]
    resume = shlex.join(command)
    stop = shlex.quote(str(run / CLUSTER_FOLDER / "stop"))
    return f"bash -c {shlex.quote(f'[ -e {stop} ] || exec {resume}')}"


def _group(launch: Launch, name: str, cores: int, offered: int) -> dict[str, Any]:
    """Return a group of pods of one container, which sees the first shared folder.

    Args:
        launch: What is launched.
        name: Name of the container.
        cores: Cores of the container.
        offered: Cores on which Ray places tasks.
    """
    profile = launch.profile
    resources = {"cpu": str(cores), "memory": f"{launch.memory}i"}
    container = {
        "name": name,
        "image": profile.image,
        "env": [{"name": n, "value": value} for n, value in launch.environment.items()],
        "resources": {"requests": resources, "limits": resources},
        "volumeMounts": [
            {"name": "shared", "mountPath": folder} for folder in profile.shared_folders[:1]
        ],
    }
    claim = {"claimName": profile.volume_claim}
    options = {"num-cpus": str(offered), "object-store-memory": str(launch.store_bytes)}
    return {
        "rayStartParams": options,
        "template": {
            "spec": {
                "containers": [container],
                "volumes": [{"name": "shared", "persistentVolumeClaim": claim}],
            }
        },
    }
