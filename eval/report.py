"""From cells to conclusions: rank-1 and verification by group over seeds, the verdict, the figures, ``result.json``."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from eval.cells import Cell
from eval.experiment import Contender, FaceStudy
from faceguard.identification import rank1, rank1_within, verify_groups
from faceguard.identities import Faces
from faceguard.plots import learning_curves, roc_figure
from faceguard.readers.lfw import LfwPairs
from faceguard.study import ARMS, Arm, make_groups, verdict
from faceguard.verification import verify

Cells = Mapping[Arm, Sequence[Cell]]  # arm -> one cell a seed


def judge_contender(
    name: str,
    contender: Contender,
    cells: Cells,
    study: FaceStudy,
    test: Faces,
    protected: Sequence[str],
    *,
    pairs: LfwPairs | None,
    out: Path,
) -> dict[str, Any]:
    """Everything about one adversary, with ``learning-curves-NAME.png``, ``roc-NAME.png`` and ``lfw-NAME.png``.

    Means are over seeds; ``seeds`` lists the single values. ROC curves are those of the first seed.
    """
    groups = make_groups(test, protected)
    arms: dict[Arm, dict[str, Any]] = {}
    rank_curves: dict[str, Any] = {}
    losses: dict[str, Any] = {}
    rocs: dict[str, Any] = {}
    lfw_rocs: dict[str, Any] = {}
    for arm in ARMS:
        curves = [[rank1(predicted, test, groups) for predicted in cell["predictions"]] for cell in cells[arm]]
        verified = [verify_groups(torch.from_numpy(cell["embeddings"]), test, groups, seed=0) for cell in cells[arm]]
        within = [rank1_within(cell["logits"], test, groups) for cell in cells[arm]]
        arms[arm] = {
            "recognition": {
                group: _recognition([[e[group] for e in c] for c in curves], [found[group] for found in within])
                for group in groups
            },
            "verification": {group: _summary([v[group].to_json() for v in verified]) for group in groups},
            "seconds": [round(float(cell["seconds"])) for cell in cells[arm]],
        }
        rank_curves[arm] = {
            group: np.mean([[e[group] for e in c] for c in curves], axis=0).tolist() for group in groups
        }
        losses[arm] = np.mean([cell["losses"] for cell in cells[arm]], axis=0).tolist()
        rocs |= {f"{arm}, {group}": (verified[0][group].far, verified[0][group].tar) for group in groups}
        if pairs is not None:
            found = [_verify_lfw(cell["lfw_scores"], pairs) for cell in cells[arm]]
            arms[arm]["lfw"] = _summary([one.to_json() for one in found])
            lfw_rocs[arm] = (found[0].far, found[0].tar)
    title = f"{name}: clean held-out faces"
    learning_curves(rank_curves, losses, out / f"learning-curves-{name}.png", title=title)
    roc_figure(rocs, out / f"roc-{name}.png", title=title)
    if lfw_rocs:
        roc_figure(lfw_rocs, out / f"lfw-{name}.png", title=f"{name}: LFW")
    recognition = {arm: numbers["recognition"] for arm, numbers in arms.items()}
    outcome, reasons = verdict(recognition, identities=len(test.names))
    return {
        "arms": arms,
        "seeds": list(contender.seeds),
        "verdict": outcome,
        "reasons": reasons,
        "expectations": expectations(study, recognition),
    }


def expectations(study: FaceStudy, recognition: Mapping[Arm, Mapping[str, Mapping[str, Any]]]) -> dict[str, bool]:
    """Each expectation in words, and whether it is met by the mean rank-1 after the last epoch."""
    clean, noisy = recognition["clean"], recognition["error-minimizing"]
    met = {
        f"protected at most {study.protected_at_most:g} of clean": noisy["protected"]["last"]
        <= study.protected_at_most * clean["protected"]["last"]
    }
    if "others" in clean:
        met[f"others at least {study.others_at_least:g} of clean"] = (
            noisy["others"]["last"] >= study.others_at_least * clean["others"]["last"]
        )
    return met


def _recognition(curves: Sequence[Sequence[float]], within: Sequence[float]) -> dict[str, Any]:
    """Mean of the last and of the best epoch and of ``rank1_within`` over seeds, and every seed's own."""
    seeds = {"last": [curve[-1] for curve in curves], "best": [max(curve) for curve in curves], "within": list(within)}
    return {name: float(np.mean(values)) for name, values in seeds.items()} | {"seeds": seeds}


def _summary(found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Means over seeds of one verification, with the first seed's interval over identities."""
    mean: dict[str, Any] = {key: float(np.mean([one[key] for one in found])) for key in ("auc", "eer")}
    mean["tar_at_far"] = {
        far: float(np.mean([one["tar_at_far"][far] for one in found])) for far in found[0]["tar_at_far"]
    }
    if "accuracy" in found[0]:
        mean["accuracy"] = float(np.mean([one["accuracy"]["mean"] for one in found]))
    return mean | {
        "pairs": found[0]["pairs"],
        "ci95_of_first_seed": found[0]["ci95"],
        "auc_of_seeds": [one["auc"] for one in found],
    }


def _verify_lfw(scores: Any, pairs: LfwPairs) -> Any:
    names = np.array([record.identity for record in pairs.records])
    identities = names[pairs.first], names[pairs.second]
    return verify(scores, pairs.genuine, identities=identities, fold=pairs.fold, missing=pairs.missing_pairs, seed=0)
