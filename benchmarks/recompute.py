"""Are the figures of a report those of the run directory? Recomputed from its JSON files alone.

    python benchmarks/recompute.py RUN...

No code of the report or of the recommendation is used for the figures that are expected: fronts are
found by comparing all pairs, the recommendation from its description in docs/decisions, intervals
from the resamples. Each figure that differs is printed. Exits with 1 if there is one.
"""

import argparse
import json
import math
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from reports.views import ReportData, read_report_data
from search.run.directory import RunDirectory


class Figure(NamedTuple):
    """A figure of a report, and what it should be.

    Args:
        name: What it is.
        told: As the report has it.
        expected: As recomputed.
    """

    name: str
    told: Any
    expected: Any

    @property
    def agrees(self) -> bool:
        """Whether both are equal, numbers to nine digits."""
        if isinstance(self.expected, float) and isinstance(self.told, float):
            return math.isclose(self.told, self.expected, rel_tol=1e-9, abs_tol=1e-12)
        return self.told == self.expected


def read(folder: Path, name: str) -> Any:
    """Return the value in a JSON file of a run, {} if there is none."""
    path = folder / name
    return json.loads(path.read_text()) if path.exists() else {}


def figures(folder: Path) -> Iterator[Figure]:
    """Yield the figures of the report of a finished run."""
    facts = read_report_data(RunDirectory.open(folder))
    records = [json.loads(path.read_text()) for path in sorted((folder / "trials").glob("*.json"))]
    objective = read(folder, "data.json")["metrics"][0]["name"]
    numbers = {record["number"] for record in records}
    searched = facts._replace(trials=tuple(t for t in facts.trials if t.number in numbers))
    yield from _of_trials(searched, records, objective)
    heat = read(folder, "heat.json")
    for finalist in heat["finalists"]:
        yield from _of_finalist(facts, heat, finalist, objective)
    derived = [json.loads(p.read_text()) for p in sorted((folder / "derived").glob("*.json"))]
    yield from _of_recommendation(folder, facts, [*records, *derived], objective)


def _of_trials(facts: ReportData, records: Sequence[Any], objective: str) -> Iterator[Figure]:
    yield Figure("networks", facts.network_count, sum(r["training"] is None for r in records))
    points = {
        r["number"]: (r["metrics"][objective], -r["timing"]["speedup"])
        for r in records
        if r["state"] == "complete" and math.isfinite(r["metrics"].get(objective, math.nan))
    }
    front = {n for n in points if not any(_dominates(points[k], points[n]) for k in points)}
    yield Figure("front", {points[t.number] for t in facts.front}, {points[n] for n in front})
    for encoding in facts.encodings:
        own = [r for r in records if r["candidate"]["encoding"] == encoding.name]
        errors = [points[r["number"]][0] for r in own if r["number"] in points]
        yield Figure(
            f"best error of {encoding.name}", encoding.best_error, min(errors, default=None)
        )
        speeds = [-points[r["number"]][1] for r in own if r["number"] in points]
        best = max(speeds, default=None)
        yield Figure(f"best speed-up of {encoding.name}", encoding.best_speedup, best)
    share = facts.search_progress.worker_usage.share
    yield Figure("busy share at most 1", share is None or share <= 1.0 + 1e-9, True)


def _dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    return tuple(one) != tuple(other) and all(a <= b for a, b in zip(one, other, strict=True))


def _of_finalist(facts: ReportData, heat: Any, finalist: Any, objective: str) -> Iterator[Figure]:
    name = finalist["name"]
    shown = next(each for each in facts.finalists if each.name == name)
    others = {each["name"]: each for each in heat["finalists"]}
    for key in ("against_baseline", "against_recommended"):
        against = finalist.get(key)
        if not against:
            continue
        other = others[against["other"]]
        if not finalist["failed"]["test"] and not other["failed"]["test"]:
            difference = finalist["test"][objective]["value"] - other["test"][objective]["value"]
            told = getattr(shown, key).difference.value
            yield Figure(f"{name}, {key}", told, difference)
    errors = np.array(finalist.get("sample_errors", ()), dtype=float)
    if shown.sample_errors is not None:
        worst = np.sort(errors)[len(errors) - -(-len(errors) // 4) :]
        expected = (errors.mean(), np.median(errors), worst.sum() / errors.sum())
        for part, told, value in zip(
            ("mean", "median", "worst"), shown.sample_errors, expected, strict=True
        ):
            yield Figure(f"{name}, {part} of samples", float(told), float(value))
    if shown.seeds is not None:
        seeds = [finalist["test"][objective]["value"]]
        seeds += [r["test"][objective] for r in finalist["retrainings"] if not r["reason"]]
        told = (shown.seeds.seeds, shown.seeds.low, shown.seeds.high)
        yield Figure(f"{name}, seeds", told, (len(seeds), min(seeds), max(seeds)))
    scored = {n: f for n, f in others.items() if objective in f["test"]}
    if name in scored:
        points = {
            n: (f["test"][objective]["value"], 1.0 / f["timing"]["speedup"])
            for n, f in scored.items()
        }
        beaten = any(_dominates(points[n], points[name]) for n in points)
        yield Figure(f"{name}, on the front", shown.on_front, not beaten)


def _of_recommendation(
    folder: Path, facts: ReportData, records: Sequence[Any], objective: str
) -> Iterator[Figure]:
    heat, data = read(folder, "heat.json"), read(folder, "data.json")
    view = facts.recommendation
    expected = recommended(folder, records, objective)
    yield Figure("recommended", view and view.trial.number, expected)
    if view is None:
        return
    finalist = next(f for f in heat["finalists"] if f["trial"] == expected)
    by_name = {f["name"]: f for f in heat["finalists"]}
    if finalist["against_baseline"]:
        baseline = by_name[finalist["against_baseline"]["other"]]
        ratio = baseline["timing"]["time_s"] / finalist["timing"]["time_s"]
        yield Figure("speed over the baseline", view.finalists[0].speedup_over_baseline, ratio)
    baselines_as_good = {
        f["name"]
        for f in heat["finalists"]
        if f["trial"] is None
        and f.get("against_recommended")
        and f["against_recommended"]["difference"]["low"] <= 0.0
    }
    yield Figure("baselines as good", {f.name for f in view.baselines_as_good}, baselines_as_good)
    pays = _payback(finalist, data, records)
    if (
        pays is not None
        and view.headline is not None
        and "saves time" in view.headline.sentences[-1]
    ):
        words = f"from {_rounded(pays)} runs of the reference on"
        yield Figure("payback", words in view.headline.sentences[-1], True)


def _payback(finalist: Any, data: Any, records: Sequence[Any]) -> float | None:
    timing = finalist["timing"]
    if timing["speedup"] <= 1.0 or not data["reference_has_time"]:
        return None
    made = 0 if data["recorded"] else sum(data["samples"].values()) + sum(data["failed"].values())
    spent_s = sum(sum(r["durations_s"].values()) for r in records)
    return (made * timing["reference_s"] + spent_s) / (
        timing["reference_s"] * (1.0 - 1.0 / timing["speedup"])
    )


def _rounded(value: float) -> str:
    short = float(f"{value:.3g}")
    return f"{short:,.0f}" if 1000.0 <= abs(short) < 1e7 else f"{short:.3g}"


def recommended(folder: Path, records: Sequence[Any], objective: str) -> int | None:
    """Return the recommended trial of a run, by the words of docs/decisions/recommendation.md.

    Args:
        folder: The run directory.
        records: Its trials.
        objective: Name of the error.
    """
    heat = read(folder, "heat.json")
    errors, speeds, networks = _mean_errors(folder, records, objective, heat)
    limits = read(folder, "data.json")["limits"]
    retrained = {n for n in errors if errors[n]["trainings"] > 1}
    meets = {n for n in errors if _meets(limits, errors[n]["value"], speeds[n])}
    has_goal = limits["error"] is not None or limits["speedup"] is not None
    able = set(errors) & (meets if has_goal and meets else set(errors))
    able = able & retrained or able
    able = {
        n
        for n in able
        if not any(
            _dominates((errors[k]["value"], -speeds[k]), (errors[n]["value"], -speeds[n]))
            for k in able
        )
    }
    if not able:
        return None
    best = min(able, key=lambda n: (errors[n]["value"], -speeds[n], n))
    alike = able
    if limits["error"] is None or not meets:
        deviation = _relative_deviation(folder, errors, networks)
        alike = {n for n in able if _near(errors, networks, deviation, n, best)}
    return min(alike, key=lambda n: (-speeds[n], errors[n]["value"], n))


def _mean_errors(
    folder: Path, records: Sequence[Any], objective: str, heat: Any
) -> tuple[dict[int, Any], dict[int, float], dict[int, int]]:
    """Return errors with resamples averaged over seeds, speed-ups and networks, by trial."""
    speeds = {
        f["trial"]: f["timing"]["speedup"] for f in heat["finalists"] if f["trial"] is not None
    }
    by_number = {r["number"]: r for r in records if r["number"] in speeds}
    ensembles = {n: len(r["candidate"].get("ensemble_seeds", ())) for n, r in by_number.items()}
    networks = {
        n: n if r["training"] is None or ensembles[n] else r["training"]
        for n, r in by_number.items()
    }
    measured = read(folder, "validation.json").get("errors", {})
    seeds, folds = _seeds(folder), _folds(folder)
    first = {networks[trial]: trial for trial in reversed([*seeds, *folds]) if trial in networks}
    errors: dict[int, Any] = {}
    for n in by_number:
        error = measured.get(f"trial {n}")
        if error is None:
            errors[n] = {
                "value": by_number[n]["metrics"][objective],
                "resampled": None,
                "trainings": 1,
            }
            continue
        value, resampled = error["value"], _array(error["resampled"])
        trainings = ensembles[n] or 1
        trained_by = by_number[n]["training"]
        trained_by = n if trained_by is None else trained_by
        own = measured[f"trial {first[trained_by]}"] if trained_by in first else None
        if own is not None:
            own_value, own_resampled = own["value"], _array(own["resampled"])
            more = seeds.get(first[trained_by], [])
            mean = (own_value + sum(m["value"] for m in more)) / (1 + len(more))
            mean_resampled = own_resampled + sum(_array(m["resampled"]) for m in more)
            mean_resampled = mean_resampled / (1 + len(more))
            if not ensembles[n]:
                trainings += len(more)
                value += mean - own_value
                resampled = resampled + (mean_resampled - own_resampled)
            other = folds.get(first[trained_by], [])
            value += sum(m["value"] - mean for m in other) / (1 + len(other))
            resampled = resampled + sum(_array(m["resampled"]) - mean_resampled for m in other) / (
                1 + len(other)
            )
        errors[n] = {"value": value, "resampled": resampled, "trainings": trainings}
    return errors, speeds, networks


def _seeds(folder: Path) -> dict[int, list[Any]]:
    """Return the validation errors of further seeds by trial, in the order of the file."""
    seeds: dict[int, list[Any]] = defaultdict(list)
    for result in read(folder, "retrained.json").get("results", ()):
        if result.get("validation") and not result.get("fold"):
            seeds[result["trial"]].append(result["validation"])
    return seeds


def _folds(folder: Path) -> dict[int, list[Any]]:
    """Return the validation errors with other divisions that every retrained network has."""
    results = read(folder, "retrained.json").get("results", ())
    trials = {r["trial"] for r in results}
    folds: dict[int, list[Any]] = defaultdict(list)
    for fold in sorted({r.get("fold", 0) for r in results} - {0}):
        valid = [r for r in results if r.get("fold") == fold and r.get("validation")]
        if {r["trial"] for r in valid} == trials:
            for result in valid:
                folds[result["trial"]].append(result["validation"])
    return folds


def _array(values: Sequence[Any]) -> np.ndarray:
    return np.array([float(value) for value in values])


def _relative_deviation(
    folder: Path, errors: Mapping[int, Any], networks: Mapping[int, int]
) -> float:
    measured = read(folder, "validation.json").get("errors", {})
    squares, freedom, seen = 0.0, 0, set[int]()
    for trial, more in _seeds(folder).items():
        if networks.get(trial) in seen or trial not in errors:
            continue
        seen.add(networks[trial])
        group = np.array([measured[f"trial {trial}"]["value"], *(m["value"] for m in more)])
        squares += float((((group - group.mean()) / group.mean()) ** 2).sum())
        freedom += len(group) - 1
    return math.sqrt(squares / freedom) if freedom else 0.0


def _near(
    errors: Mapping[int, Any], networks: Mapping[int, int], deviation: float, one: int, best: int
) -> bool:
    a, b = errors[one], errors[best]
    variance = 0.0
    if a["resampled"] is not None and b["resampled"] is not None:
        difference = a["resampled"] - b["resampled"]
        variance = float(difference[np.isfinite(difference)].var(ddof=1))
    if networks[one] != networks[best]:
        variance += sum((deviation * e["value"]) ** 2 / e["trainings"] for e in (a, b))
    return a["value"] - b["value"] <= math.sqrt(variance)


def _meets(limits: Any, error: float, speedup: float) -> bool:
    return (limits["error"] is None or error <= limits["error"]) and (
        limits["speedup"] is None or speedup >= limits["speedup"]
    )


def main() -> int:
    """Print the figures that differ; return 1 if there is one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path, nargs="+")
    wrong = 0
    for folder in parser.parse_args().runs:
        found = list(figures(folder))
        differing = [figure for figure in found if not figure.agrees]
        print(f"{folder}: {len(found)} figures, {len(differing)} differ")
        for figure in differing:
            print(f"    {figure.name}: told {figure.told}, expected {figure.expected}")
        wrong += len(differing)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
