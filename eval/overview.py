"""The ledger at a glance, README's picture: what of the protected recognizers name, a line for each way to train one.

A template of SVG and not matplotlib: it takes the reader's light or dark, and is the same wherever it is made, so that a test
can tell whether it is the ledger's.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment

from faceguard.errors import DataError

TEMPLATE = Path(__file__).with_suffix(".svg")
SHIPPED = "celeba-16, 50 protected"
THREE = "resnet-18-narrow"
COUNTERED, SHARES = "face-countermeasures-resnet-18-narrow", "face-shares-resnet-18-narrow"
COSTLY = "face-costly-countermeasures"
# who it is against: what a line says, the entry, the condition
LINES: Mapping[str, tuple[tuple[str, str, str], ...]] = {
    "Recognizers trained from scratch on the photos": (
        ("whole photos after JPEG 75, ResNet-18", "photo-space", "resnet-18, none, coarse-12, 50 protected"),
        ("aligned crops, ResNet-18", "face-countermeasures", f"resnet-18, none, {SHIPPED}"),
        (
            "aligned crops, Inception-ResNet-v1, fine noise",
            "face-partial",
            "inception-resnet-v1, none, plain, 50 protected",
        ),
        ("aligned crops, a narrow ResNet-18", "face-adversaries", f"{THREE}, none, {SHIPPED}"),
        ("with ArcFace", "face-adversaries", f"{THREE}-arcface, none, {SHIPPED}"),
    ),
    "The narrow ResNet-18, when the trainer does something to the photos": (
        ("JPEG 10", COUNTERED, f"{THREE}, jpeg, {SHIPPED}"),
        ("blur", COUNTERED, f"{THREE}, blur, {SHIPPED}"),
        ("MixUp", COUNTERED, f"{THREE}, mixup, {SHIPPED}"),
        ("CutMix", COUNTERED, f"{THREE}, cutmix, {SHIPPED}"),
        ("Cutout", COUNTERED, f"{THREE}, cutout, {SHIPPED}"),
        ("AutoAugment", COUNTERED, f"{THREE}, autoaugment, {SHIPPED}"),
        ("averages each person's photos", "face-adversaries", f"averaging, none, {SHIPPED}"),
        ("trains adversarially", COSTLY, f"{THREE}, adversarial-training, {SHIPPED}"),
        ("projects out what tells people apart", COSTLY, f"{THREE}, orthogonal-projection, {SHIPPED}"),
        ("augments for the worst, 75 epochs (UEraser)", COSTLY, f"{THREE}-long, ueraser, {SHIPPED}"),
        ("has the bank: trains with its rows", "face-adversaries", f"noise-augmented, none, {SHIPPED}"),
        ("has the bank: projects its rows out", "face-adversaries", f"projecting, none, {SHIPPED}"),
        ("makes them gray", COUNTERED, f"{THREE}, grayscale, {SHIPPED}"),
    ),
    "The narrow ResNet-18, when fewer people or photos carry noise": (
        ("50 of 105 people, a fifth of their photos without", SHARES, f"{THREE}, none, {SHIPPED}, 80% of photos"),
        ("50 of 105 people, half of their photos without", SHARES, f"{THREE}, none, {SHIPPED}, 50% of photos"),
        ("21 of 105 people", SHARES, f"{THREE}, none, celeba-16, 21 protected"),
        ("10 of 105 people", "face-few", f"{THREE}, none, celeba-16, 10 protected"),
        ("5 of 105 people", "face-few", f"{THREE}, none, celeba-16, 5 protected"),
    ),
    "Networks that know faces already": (
        ("MobileFaceNet, fine-tuned on the photos", "face-adversaries", f"fine-tuned, none, {SHIPPED}"),
        ("MobileFaceNet, frozen", "face-adversaries", f"mobilefacenet-nearest, none, {SHIPPED}"),
        ("SFace, frozen", "face-adversaries", f"sface-nearest, none, {SHIPPED}"),
    ),
}
ABOUT = "Share of the protected people's clean photos that is recognized all the same (rank-1)"
LEFT, RIGHT, ROW, TOP = 330, 690, 21, 64  # LEFT and RIGHT are a rank-1 of 0 and of 1, in the units of the view box


def overview(entries: Mapping[str, Any]) -> str:
    """The picture as SVG, of the ledger's ``entries`` by name; raises DataError for a condition that they do not hold."""
    lines: list[dict[str, Any]] = []
    for head, about in LINES.items():
        lines += [{"head": head}, *(_line(label, _condition(entries, *which)) for label, *which in about)]
    for place, line in enumerate(lines):
        line["y"] = TOP + ROW * (place + 0.5)
    template = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(
        TEMPLATE.read_text("utf-8")
    )
    ticks = [(_x(tenth / 10), f"{tenth / 10:g}") for tenth in range(0, 11, 2)]
    return template.render(about=ABOUT, lines=lines, ticks=ticks, height=TOP + ROW * len(lines) + 14) + "\n"


def _condition(entries: Mapping[str, Any], entry: str, name: str) -> Any:
    found = [one for one in entries.get(entry, {}).get("conditions", ()) if one["name"] == name]
    if not found:
        raise DataError(
            f"results/{entry}.json holds no {name!r}, which eval/overview.py draws; name another condition there."
        )
    return found[0]


def _line(label: str, condition: Any) -> dict[str, Any]:
    arms = {arm: found["recognition"]["protected"] for arm, found in condition["arms"].items()}
    return {
        "label": label,
        "clean": _x(arms["clean"]["last"]["mean"]),
        "random": _x(arms["random"]["last"]["mean"]),
        "noise": _x(arms["error-minimizing"]["last"]["mean"]),
        "best": _x(arms["error-minimizing"]["best"]["mean"]),
        "verdict": condition["verdict"],
        "colour": condition["verdict"].split()[0],
        "trainings": {1: "one", 3: "three"}[len(condition["seeds"])],
    }


def _x(rank1: float) -> float:
    return round(LEFT + (RIGHT - LEFT) * rank1, 1)
