"""What an audit says to the user beside its numbers: the claim, and what the adversaries' results mean for her."""

from collections.abc import Mapping, Sequence
from typing import Any

from faceguard.audit_doubts import AMONG_DRAWN, LONE
from faceguard.audit_faces import AuditFaces
from faceguard.uploads import Upload

FROZEN = "a frozen pre-trained extractor"


def claim(faces: AuditFaces, noise: str, upload: Upload) -> str:
    """The claim under test, a sentence; ``noise`` is what the bank is called."""
    mine, all_of_them = len(faces.protected), len(faces.test.names)
    return (
        f"The noise {noise} keeps {mine} photographed {'person' if mine == 1 else 'people'} from being recognized by whoever"
        f" trains on the photos, published as JPEG {upload.quality}, among {all_of_them - mine}"
        f" {'drawn people' if faces.drawn else 'others'}."
    )


def notes(faces: AuditFaces, conditions: Sequence[Mapping[str, Any]], *, frozen: bool) -> list[str]:
    """What the numbers of the judged ``conditions`` mean for the user, in sentences; ``frozen``: an extractor was run."""
    tested = int((faces.test.labels < len(faces.protected)).sum())
    said = [f"{tested} held-out photos of yours decide, so rank-1 moves in steps of {1 / tested:.2f}."]
    recognized = [c["adversary"] for c in conditions if c["verdict"] == "not protected"]
    if not frozen:
        said.append(
            f"No frozen extractor was run: {FROZEN} is expected to recognize everybody, with or without noise, because it"
            " learns nothing from these photos. Name one with --extractor to see it."
        )
    elif any(name.startswith("frozen ") for name in recognized):
        said.append(
            "The frozen extractor recognizes you in spite of the noise. It was trained on other people's photos, long before"
            " yours: it learns nothing from them that noise could spoil, and only compares how faces look. No noise of this"
            " kind stops it, whatever the other adversaries show."
        )
    if any(name.startswith("averaging") for name in recognized):
        said.append("Who takes the average of your photos can estimate the noise they share, and subtract it.")
    if faces.drawn:
        said.append(LONE if len(faces.protected) == 1 else AMONG_DRAWN)
    return [*said, "This report shows faces of yours: think before you pass it on."]
