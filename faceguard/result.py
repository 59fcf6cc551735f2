"""Reading a folder's result.json, and refusing one whose verdict its own conditions do not give.

A report must not be friendlier than the cells. So before anything is shown, the verdict, every condition's own and every mean
are computed again; what was changed by hand, or by a rule that is no longer this one, is refused and never repaired.
"""

import base64
import binascii
import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from faceguard.conclusion import conclude, judge
from faceguard.errors import DataError

NEEDED = {"title": str, "claim": str, "paper": dict, "verdict": dict, "conditions": list, "expectations": dict, "noise": dict,
          "settings": dict, "pictures": list}  # fmt: skip
OF_A_CONDITION = {"name": str, "adversary": str, "countermeasure": str, "protected": int, "identities": int, "seeds": list,
                  "verdict": str, "reasons": list, "arms": dict}  # fmt: skip
OF_AN_ARM = {"recognition": dict, "verification": dict, "curves": dict, "roc": dict}
ROC = ("far", "tar", "low", "high")
PNG = b"\x89PNG\r\n\x1a\n"


def read_result(path: Path) -> dict[str, Any]:
    """The content of a result.json whose verdict is that of its conditions.

    Raises DataError when it cannot be read, lacks something, or says another thing than its numbers do.
    """
    result = read_object(path)
    _require(result, NEEDED, str(path))
    _require({"notes": [], "found": {}} | result, {"notes": list, "found": dict}, str(path))
    _check_numbers(result.get("found", {}).values(), str(path))
    _require(result["expectations"], dict.fromkeys(result["expectations"], bool), str(path))
    names = [_check_condition(condition, path) for condition in result["conditions"]]
    if len(set(names)) < len(names):
        raise DataError(f"Two conditions of {path} have one name; give each its own, so that none hides the other.")
    for picture in result["pictures"]:
        _check_picture(picture, path)
    stored = result["verdict"]
    _require(stored, {"headline": str, "not_run": list}, str(path))
    found = conclude(result["conditions"], [str(name) for name in stored["not_run"]])
    if stored != found:
        raise DataError(
            f"The verdict in {path} is {stored['headline']!r}, and its conditions give {found['headline']!r};"
            " it was changed or made by other rules, so run the measurement again."
        )
    return result


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file. Raises DataError when there is none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"), parse_constant=lambda _: None)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); name the folder of a finished run.") from error
    except ValueError as error:
        raise DataError(f"{path} is no JSON ({error}); run the measurement again.") from error
    if not isinstance(content, dict):
        raise DataError(f"{path} holds no JSON object; run the measurement again.")
    return content


def _check_condition(condition: Any, path: Path) -> str:
    _require(condition, OF_A_CONDITION, str(path))
    _require({"doubts": []} | condition, {"doubts": list}, str(path))
    where = f"Condition {condition['name']!r} of {path}"
    for arm in condition["arms"].values():
        _check_arm(arm, where)
    found = judge(condition)
    if (condition["verdict"], condition["reasons"]) != (found.outcome, found.reasons):
        raise DataError(
            f"{where} says {condition['verdict']!r} ({' '.join(map(str, condition['reasons']))}), and its numbers give"
            f" {found.outcome!r} ({' '.join(found.reasons)});"
            " it was changed or made by other rules, so run the measurement again."
        )
    return str(condition["name"])


def _check_arm(arm: Any, where: str) -> None:
    """Raises DataError for what `_estimates` or a chart cannot read."""
    _require(arm, OF_AN_ARM, where)
    shown = list(arm["recognition"].values())
    for measures in shown:
        _require(measures, {"last": dict, "best": dict}, where)
    for numbers in (*arm["verification"].values(), *([arm["lfw"]] if "lfw" in arm else [])):
        _require(numbers, {"auc": dict, "eer": dict, "tar_at_far": dict}, where)
        shown += [{name: numbers[name] for name in ("auc", "eer")}, numbers["tar_at_far"]]
    for estimate in [one for measures in shown for one in measures.values()] + _estimates(arm):
        _check_estimate(estimate, where)
    _require(arm["curves"], {"rank1": dict, "loss": list}, where)
    _require(arm["curves"]["rank1"], dict.fromkeys(arm["curves"]["rank1"], list), where)
    for curve in (arm["curves"]["loss"], *arm["curves"]["rank1"].values()):
        _check_numbers(curve, where)
    for curve in arm["roc"].values():
        _require(curve, dict.fromkeys(ROC, list), where)
        count, *lengths = [len(curve[name]) for name in ROC]
        if lengths not in ([count] * 3, [count, 0, 0]):
            raise DataError(f"{where} has a ROC whose columns differ in length; run the measurement again.")
        _check_numbers([value for name in ROC for value in curve[name]], where)


def _estimates(value: Any) -> list[dict[str, Any]]:
    """Everything below ``value`` that has a mean or seeds, so that nothing is shown unchecked."""
    if not isinstance(value, dict):
        return []
    own = [value] if "mean" in value or "seeds" in value else []
    return own + [found for part in value.values() for found in _estimates(part)]


def _check_estimate(estimate: Any, where: str) -> None:
    _require(estimate, {"seeds": list}, where)
    ends = estimate.get("identities")
    if ends is not None and not (isinstance(ends, list) and len(ends) == 2):
        raise DataError(f"{where} has an interval of {str(ends)[:40]}, not of two ends; run the measurement again.")
    shown = [estimate.get(end) for end in ("mean", "low", "high")]
    _check_numbers([*shown, *(ends or ()), *estimate["seeds"]], where)
    mean, seeds = estimate.get("mean"), estimate["seeds"]
    known = bool(seeds) and None not in seeds
    if mean is None or not known:
        agrees = mean is None and not known
    else:
        agrees = math.isclose(mean, math.fsum(seeds) / len(seeds), rel_tol=1e-9, abs_tol=1e-9)
    if not agrees:
        raise DataError(f"{where} has the mean {mean!r} of the seeds {seeds!r}; run the measurement again.")


def _check_numbers(numbers: Iterable[Any], where: str) -> None:
    if not all(number is None or (isinstance(number, int | float) and math.isfinite(number)) for number in numbers):
        raise DataError(f"{where} holds a value that is no number; run the measurement again.")


def _check_picture(picture: Any, path: Path) -> None:
    _require(picture, {"name": str, "before": str, "after": str}, str(path))
    for when in ("before", "after"):
        try:
            content = base64.b64decode(picture[when], validate=True)
        except (binascii.Error, ValueError):
            content = b""
        if not content.startswith(PNG):
            raise DataError(
                f"The picture {picture['name']!r} of {path} is no PNG in base64; run the measurement again."
            )


def _require(value: Any, kinds: Mapping[str, type], where: str) -> None:
    if not isinstance(value, dict):
        raise DataError(f"{where} holds {str(value)[:40]!r} where an object should be; run the measurement again.")
    for key, kind in kinds.items():
        if not isinstance(value.get(key), kind):
            raise DataError(f"{where} lacks {key!r}, or it is no {kind.__name__}; run the measurement again.")
