"""What an audit must not conclude: too few held-out photos, and photographed people among drawn ones."""

from dataclasses import replace

import pytest
from commands import write_faces
from fabricated import bare_arm, estimated
from test_audit import TINY, audit, empty_cache  # noqa: F401

import faceguard.audit
from faceguard.audit_doubts import LONE, easy, too_good
from faceguard.audit_faces import AuditFaces
from faceguard.audit_words import notes
from faceguard.readers.synthetic import synthetic_faces
from faceguard.study import ARMS


def arms_of(clean, noisy):
    """Arms that look like protection, with the rank-1 within the protected group that a test asks for."""
    arms = {arm: bare_arm([last], others=[0.9]) for arm, last in zip(ARMS, (0.9, 0.9, 0.0), strict=True)}
    for arm, rate in zip(ARMS, (clean, clean, noisy), strict=True):
        arms[arm]["recognition"]["protected"]["within"] = estimated(rate)
    return arms


def faces_of(people, tested, *, drawn):
    whole = synthetic_faces(people + 1, tested, size=16, seed=0)
    about = {"train": {}, "doubts": [], "failures": (), "noise": {}, "pictures": []}
    return AuditFaces(test=whole, protected=whole.names[:people], drawn=drawn, **about)


@pytest.mark.parametrize(
    ("people", "tested", "drawn", "clean", "noisy", "words"),
    [
        (1, 9, True, 1.0, 1.0, "yours are the only photographs"),
        (1, 9, False, 1.0, 1.0, None),
        (1, 4, False, 1.0, 1.0, None),
        (1, 3, False, 1.0, 1.0, "names 3 of 3 held-out photos"),
        (3, 6, True, 0.9, 0.35, None),
        (3, 6, True, 0.9, 0.8, "Among themselves your people are still named"),
        (3, 6, False, 0.9, 0.35, None),
        (3, 6, False, 0.9, 0.8, "Among themselves your people are still named"),  # whoever the others are
    ],
)
def test_protected_is_not_believed_where_the_photos_cannot_show_it(people, tested, drawn, clean, noisy, words):
    said = too_good(faces_of(people, tested, drawn=drawn), arms_of(clean, noisy))
    assert said == [] if words is None else words in said[0]
    condition = faceguard.audit._judged(
        "x", arms_of(clean, noisy), faces_of(people, tested, drawn=drawn), "n", [0], trains=True
    )
    assert condition["verdict"] == ("protected" if words is None else "inconclusive")


def test_a_control_that_only_tells_photographs_from_drawings_does_not_count():
    assert easy(arms_of(1.0, 0.0), 1) == [LONE]
    assert easy(arms_of(0.74, 0.0), 2) != []
    assert easy(arms_of(0.75, 0.0), 2) == []
    assert "names 0.50, and 0.67 is the least" in easy(arms_of(0.5, 0.0), 3)[0]


def test_a_lone_person_among_drawn_ones_gets_no_verdict_on_training(tmp_path):
    alone = write_faces(tmp_path / "me", identities=1, photos=6) / "synthetic-000"
    result = audit(alone, tmp_path / "out", settings=replace(TINY, seeds=1)).result
    assert result["verdict"]["outcome"] == "inconclusive"
    assert any("--others" in reason for reason in result["verdict"]["reasons"])


def test_a_frozen_extractor_that_recognizes_a_lone_person_is_not_excused_and_is_explained():
    faces = faces_of(1, 9, drawn=True)
    arms = {arm: bare_arm([0.9], others=[0.9]) for arm in ARMS}
    condition = faceguard.audit._judged("frozen x", arms, faces, "n", [0], trains=False)
    assert condition["verdict"] == "not protected"
    said = notes(faces, [condition], frozen=True)
    assert any("learns nothing from them that noise could spoil" in note for note in said)
    assert LONE in said
