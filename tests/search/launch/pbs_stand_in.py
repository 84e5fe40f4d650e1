"""A stand-in for PBS Pro's qsub, qstat, qdel and pbsdsh: `pbs_stand_in.py COMMAND ARGUMENTS`.

It takes what PBS Pro takes and refuses the rest. A job runs at once as a process group of this
machine, gets SIGTERM at its wall time and SIGKILL a while later; PBS sends no signal before. What
it knows lies in $PBS_STAND_IN.
"""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

STATE = Path(os.environ["PBS_STAND_IN"])
KILL_DELAY_S = 10.0


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(prog="qsub", add_help=False)
    for letter in "ANoejqrSWvkmMpPJ":
        options.add_argument(f"-{letter}")
    options.add_argument("-l", action="append", default=[])
    options.add_argument("script", nargs="?")
    return options


def qsub(arguments: Sequence[str]) -> None:
    script = Path(parser().parse_args(arguments).script).resolve()
    words: list[str] = []
    for line in script.read_text().splitlines()[1:]:
        if line.startswith("#PBS "):
            words += line[5:].split()
        elif line and not line.startswith("#"):
            break
    asked = parser().parse_args([*words, *arguments])
    resources: dict[str, str] = {}
    for item in asked.l:
        resources |= dict(each.split("=", 1) for each in re.split(r",(?=\w+=)", item))
    if "nodes" in resources:
        sys.exit("qsub: -l nodes is Torque's; PBS Pro takes -l select")
    STATE.mkdir(exist_ok=True)
    number = len(list(STATE.glob("*.json"))) + 1
    folder = STATE / str(number)
    folder.mkdir()
    nodes, cores = chunks(resources.get("select", "1:ncpus=1"))
    (folder / "nodes").write_text("".join(f"{node}\n" for node in nodes))
    passed = re.split(r",(?=\w+)", asked.v) if asked.v else []
    env = {name: os.environ[name] for name in ("HOME", "USER", "PBS_STAND_IN")}
    env |= {"PATH": f"{STATE.parent}/programs:/usr/bin:/bin", "NCPUS": cores}
    env |= dict(each.split("=", 1) for each in passed)
    env |= {"PBS_JOBID": f"{number}.fake", "PBS_NODEFILE": str(folder / "nodes")}
    keep(number, {"state": "Q"})
    if os.fork() == 0:
        os.setsid()
        execute(number, script, env, seconds(resources.get("walltime", "3600")))
        return
    sys.stdout.write(f"{number}.fake\n")


def chunks(select: str) -> tuple[list[str], str]:
    nodes: list[str] = []
    cores = "1"
    for chunk in select.split("+"):
        count, *settings = chunk.split(":")
        cores = dict(each.split("=") for each in settings).get("ncpus", cores)
        nodes += [f"node{len(nodes) + i + 1}" for i in range(int(count))]
    return nodes, cores


def execute(number: int, script: Path, env: dict[str, str], wall_s: int) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):
        os.dup2(null, descriptor)
    job = subprocess.Popen(["/bin/bash", str(script)], env=env, start_new_session=True)
    keep(number, {"state": "R", "pid": job.pid, "began": time.time()})
    try:
        code = job.wait(wall_s)
    except subprocess.TimeoutExpired:
        os.killpg(job.pid, signal.SIGTERM)
        try:
            code = job.wait(KILL_DELAY_S)
        except subprocess.TimeoutExpired:
            os.killpg(job.pid, signal.SIGKILL)
            code = job.wait()
    with suppress(ProcessLookupError):
        os.killpg(job.pid, signal.SIGKILL)
    keep(number, {"state": "F", "exit": code if code >= 0 else 256 - code})


def seconds(text: str) -> int:
    total = 0
    for part in text.split(":"):
        total = 60 * total + int(part)
    return total


def keep(number: int, record: dict[str, Any]) -> None:
    part = STATE / f"{number}.part"
    part.write_text(json.dumps(record))
    part.replace(STATE / f"{number}.json")


def read(job: str) -> dict[str, Any]:
    path = STATE / f"{job.split('.', maxsplit=1)[0]}.json"
    if not path.exists():
        sys.exit(f"qstat: Unknown Job Id {job}")
    return json.loads(path.read_text())


def qstat(arguments: Sequence[str]) -> None:
    if "-Q" in arguments:
        return
    job = arguments[-1]
    record = read(job)
    if record["state"] == "F" and "-x" not in arguments:
        sys.exit(f"qstat: {job} Job has finished, use -x")
    told = {"job_state": record["state"], "Exit_status": record.get("exit")}
    sys.stdout.write(json.dumps({"Jobs": {job: told}}))


def qdel(arguments: Sequence[str]) -> None:
    for job in arguments:
        os.killpg(read(job)["pid"], signal.SIGTERM)


def pbsdsh(arguments: Sequence[str]) -> None:
    command = arguments[arguments.index("--") + 1 :]
    nodes = Path(os.environ["PBS_NODEFILE"]).read_text().split()
    # As on other machines, what the script has exported isn't there.
    env = {name: os.environ[name] for name in ("HOME", "USER", "PATH", "PBS_JOBID")}
    running = [
        subprocess.Popen(command, env=env | {"PBS_NODENUM": str(number)})
        for number in range(len(nodes))
    ]
    sys.exit(max(abs(process.wait()) for process in running))


if __name__ == "__main__":
    commands = {"qsub": qsub, "qstat": qstat, "qdel": qdel, "pbsdsh": pbsdsh}
    commands[sys.argv[1]](sys.argv[2:])
