"""The ledger: results/NAME.json holds the numbers of README's and findings' tables; docs/results.md is made of it.

    python -m eval.ledger runs/NAME ...     record finished runs, then write docs/results.md, docs/overview.svg and
                                            recipes/README.md anew
    python -m eval.ledger                   write them anew

An entry is a run's result.json without curves, together with its run.json: command, commit, hardware, seconds, day.
"""

import argparse
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from eval.overview import overview
from eval.recipe_index import index
from faceguard.claims import outcome, tally
from faceguard.errors import DataError
from faceguard.outputs import write_json
from faceguard.study import ARMS

ROOT = Path(__file__).parents[1]
RESULTS, PAGE, INDEX = ROOT / "results", ROOT / "docs" / "results.md", ROOT / "recipes" / "README.md"
PICTURE = ROOT / "docs" / "overview.svg"
LEFT_OUT = ("curves", "roc", "pictures", "confusion", "classes")  # what only the report draws
HEADER = """# Results

Made from `results/*.json` by `python -m eval.ledger`; a test fails when the two differ. Rank-1 and verification are on clean
held-out faces, means over seeds with 95 % intervals, each over seeds (the same people, another training) or over identities (the
same trainings, other people), as it says; "best" is the best epoch, as if a trainer stopped there. PSNR and SSIM are
those of the aligned face; photo_psnr and photo_ssim, blank where none was measured, are those of the whole photo at full size
before any JPEG. Detectability near 0.5 says that noise cannot be told only beside a detector_training_auc near 1; where that is
lower, or blank in an older entry, the small detector may not have learnt, and 0.5 is no proof of absence.

The contents say of every entry the claim that was tried, which need not have held, how many of its expectations are met, and
how the headline of a study on faces begins. An expectation is undecided where its control failed, and not tried where what it is
about was not run.
"""
Json = dict[str, Any]


def record(run: Path, results: Path) -> Path:
    """Write the entry of the finished run in folder ``run``. Raises DataError when the folder holds no finished run."""
    try:
        result, about = (json.loads((run / name).read_text(encoding="utf-8")) for name in ("result.json", "run.json"))
    except (OSError, ValueError) as error:
        raise DataError(f"{run} holds no finished run ({error}); name the folder with its result.json.") from error
    results.mkdir(parents=True, exist_ok=True)
    path = results / f"{run.name.replace('_', '-')}.json"
    write_json(path, {"run": about} | _without_curves(result))
    return path


def entries_in(results: Path) -> dict[str, Json]:
    """Every entry in the folder, in the order of their names."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(results.glob("*.json"))}


def page(results: Path) -> str:
    """docs/results.md, from every entry in the folder."""
    entries = entries_in(results)
    return "\n".join([HEADER, *_contents(entries), *("\n".join(_entry(*entry)) for entry in entries.items())])


def _without_curves(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_curves(part) for key, part in value.items() if key not in LEFT_OUT}
    if isinstance(value, list):
        return [_without_curves(part) for part in value]
    return round(value, 5) if isinstance(value, float) else value


def _contents(entries: Mapping[str, Json]) -> Iterator[str]:
    """A line for every entry; GitHub's anchor of a heading in small letters and hyphens is the heading itself."""
    yield "| entry | claim that is tried | expectations met | headline |"
    yield "|---|---|---|---|"
    for name, entry in entries.items():
        headline = re.split(r"; |, among|\.$", entry.get("verdict", {}).get("headline", ""))[0]
        yield f"| [{name}](#{name}) | {entry['claim']} | {_tally(entry)} | {headline} |"
    yield ""


def _tally(entry: Json) -> str:
    """How many of the claims that were tried are met, and how many are undecided or were not tried."""
    became = tally(entry["expectations"], entry.get("found", {}))
    rest = [f"{became[one]} {one}" for one in ("undecided", "not tried") if became[one]]
    return ", ".join([f"{became['met']} of {became.total() - became['not tried']}", *rest])


def _entry(name: str, entry: Json) -> Iterator[str]:
    run = entry["run"]
    yield f"## {name}\n"
    yield f"{entry['claim']}\n"
    yield f"    {run['command']}\n"
    commits = f"commit {run['commit']}{_computed_at(run)}"
    yield f"{run['date']}, {commits}, {run['hardware']}, {_duration(run['seconds'])} of computing.\n"
    if "verdict" in entry:
        yield f"**{entry['verdict']['headline']}**\n"
        if entry["verdict"].get("not_run"):
            yield f"Not run: {'; '.join(entry['verdict']['not_run'])}.\n"
    if "conditions" in entry:
        yield from _conditions(entry["conditions"])
    if "runs" in entry:
        yield from _runs(entry)
    if "folders" in entry:
        yield from _folders(entry["folders"])
    if entry.get("noise"):
        yield from _noise(entry["noise"])
    for words, met in entry["expectations"].items():
        became, claim = outcome(words, met, entry.get("found", {}))
        yield f"* {became if became == 'met' else f'**{became}**'}: {claim}"
    yield ""


def _computed_at(run: Json) -> str:
    """The commits of what was judged, where they are others than the judge's."""
    found = run.get("computed_at", [run["commit"]])
    return "" if found == [run["commit"]] else f" (computed at {', '.join(found)})"


def _conditions(conditions: Sequence[Json]) -> Iterator[str]:
    lfw = any("lfw" in condition["arms"]["clean"] for condition in conditions)
    further = sorted({arm for condition in conditions for arm in condition["arms"]} - set(ARMS))
    yield (
        "| condition | seeds | protected: clean | random (best) | error-minimizing (best) | within | others: clean"
        " | error-minimizing | AUC protected: clean | error-minimizing |"
        + (" LFW AUC: clean | error-minimizing |" if lfw else "")
        + "".join(f" protected: {arm} (best) |" for arm in further)
        + " verdict |"
    )
    yield "|---" * (11 + 2 * lfw + len(further)) + "|"
    for condition in conditions:
        yield _condition(condition, lfw, further)
    yield ""


def _condition(condition: Json, lfw: bool, further: Sequence[str]) -> str:
    arms = condition["arms"]
    rank1 = {arm: found["recognition"] for arm, found in arms.items()}
    cells = [condition["name"], str(len(condition["seeds"])), _interval(rank1["clean"]["protected"]["last"])]
    cells += [_last_and_best(rank1[arm]["protected"]) for arm in ("random", "error-minimizing")]
    cells.append(_mean(rank1["error-minimizing"]["protected"].get("within")))
    cells += [_mean(rank1[arm].get("others", {}).get("last")) for arm in ("clean", "error-minimizing")]
    cells += [_mean(arms[arm]["verification"].get("protected", {}).get("auc")) for arm in ("clean", "error-minimizing")]
    if lfw:
        cells += [_mean(arms[arm].get("lfw", {}).get("auc"), 4) for arm in ("clean", "error-minimizing")]
    cells += [_last_and_best(rank1[arm]["protected"]) if arm in rank1 else "" for arm in further]
    return "| " + " | ".join([*cells, condition["verdict"]]) + " |"


def _runs(entry: Json) -> Iterator[str]:
    """A classification study: accuracy on clean test photos, chance and the paper's beside it."""
    yield f"Scale {entry['settings']['scale']}, {entry['source']}.\n"
    if entry["not_run"]:
        yield f"Not run: {'; '.join(entry['not_run'])}.\n"
    yield "| run | set | network | photos (with noise) | seeds | accuracy: last | best | chance | paper | also |"
    yield "|---" * 10 + "|"
    for name, run in entry["runs"].items():
        photos, accuracy = run["photos"], run["accuracy"]
        cells = [name, run["data"], run["network"], f"{photos['training']} ({photos['noisy']})", str(len(run["seeds"]))]
        cells += [_interval(accuracy["last"]), _mean(accuracy["best"]), f"{run['chance']:.3g}"]
        also = [f"{label} recognized {share:.2f}" for label, share in run["recognized"].items()]
        also += [f"attack success {run['attack_success']['mean']:.3f}"] if "attack_success" in run else []
        if "passes" in run:
            also.append(f"noise learnt in {run['passes']['learning'] / run['passes']['training']:.2f} of its passes")
        cells += ["" if run["paper"] is None else f"{run['paper'] / 100:.4g}", ", ".join(also)]
        yield "| " + " | ".join(cells) + " |"
    yield ""


def _folders(folders: Mapping[str, Json]) -> Iterator[str]:
    for folder, noises in folders.items():
        yield f"Median of noise_kept (quartiles) on {folder}:\n"
        yield "| | " + " | ".join(noises) + " | photos |"
        yield "|---" * (len(noises) + 2) + "|"
        first = next(iter(noises.values()))
        for curve, points in first.items():
            for value, numbers_ in points.items():
                found = [noises[noise][curve][value] for noise in noises]
                cells = [
                    f"{one['median']:.2f} ({one['quartiles'][0]:.2f} to {one['quartiles'][1]:.2f})" for one in found
                ]
                yield f"| {curve} {value} | " + " | ".join(cells) + f" | {numbers_['photos']} |"
        yield ""


def _noise(noise: Mapping[str, Json]) -> Iterator[str]:
    keys = list(dict.fromkeys(key for found in noise.values() for key in found))  # older entries lack some
    yield "| noise | " + " | ".join(keys) + " |"
    yield "|---" * (len(keys) + 1) + "|"
    for name, found in noise.items():
        yield f"| {name} | " + " | ".join("" if found.get(key) is None else f"{found[key]}" for key in keys) + " |"
    yield ""


def _interval(found: Json) -> str:
    """The mean, and its interval with what it is over, where there is one."""
    if found.get("low") is None:
        return _mean(found)
    over = "" if found.get("over") is None else f" over {found['over']}"
    return f"{found['mean']:.3f} ({found['low']:.3f} to {found['high']:.3f}{over})"


def _last_and_best(found: Json) -> str:
    return f"{_interval(found['last'])}, best {found['best']['mean']:.3f}"


def _mean(found: Json | None, digits: int = 3) -> str:
    return "" if found is None else f"{found['mean']:.{digits}f}"


def _duration(seconds: float) -> str:
    return f"{seconds / 3600:.1f} hours" if seconds >= 5400 else f"{max(round(seconds / 60), 1)} minutes"


def main(arguments: Sequence[str]) -> None:
    """Record the runs, then write the page, the index of the recipes and README's picture."""
    parser = argparse.ArgumentParser(
        prog="python -m eval.ledger", description="Record runs, and write the pages of them."
    )
    parser.add_argument("runs", nargs="*", type=Path, metavar="RUN", help="the folder of a finished run")
    try:
        for run in parser.parse_args(arguments).runs:
            record(run, RESULTS)
    except DataError as error:
        parser.error(str(error))
    PAGE.write_text(page(RESULTS), encoding="utf-8")
    INDEX.write_text(index(ROOT / "recipes", RESULTS), encoding="utf-8")
    PICTURE.write_text(overview(entries_in(RESULTS)), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
