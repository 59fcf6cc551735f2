"""Results to conclude from and to show: cells with the rank-1 that a test asks for, and whole result.json contents."""

import base64
import io

import numpy as np
from PIL import Image

from faceguard.conclusion import conclude, judge
from faceguard.identities import Faces
from faceguard.measures import measure_arm
from faceguard.study import ARMS, make_groups

RATES = {"clean": (0.8, 0.8), "random": (0.78, 0.8), "error-minimizing": (0.05, 0.8)}  # protected, others


def held_out(identities=12, photos=6):
    """Faces without content: what a network made of them stands in the cells."""
    labels = np.repeat(np.arange(identities), photos)
    names = tuple(f"person {i}" for i in range(identities))
    keys = tuple(f"{i}.png" for i in range(len(labels)))
    return Faces(pixels=np.zeros((len(labels), 1, 1, 3), np.uint8), labels=labels, names=names, keys=keys)


def made_cell(test, protected, rates, *, seed=0, epochs=8, likeness=1.0):
    """A training that ends near the rates of (protected, others), learning a little less in every earlier epoch."""
    random = np.random.default_rng([seed, int(1000 * rates[0]), int(1000 * rates[1])])
    count, people = len(test), len(test.names)
    share = np.where(test.labels < protected, *rates)
    final = np.minimum(1, (np.arange(epochs) + 1) / (0.6 * epochs))
    right = random.random((epochs, count)) < share * final[:, None]
    wrong = (test.labels + random.integers(1, people, (epochs, count))) % people
    predictions = np.where(right, test.labels, wrong).astype(np.int32)
    logits = np.eye(people)[predictions[-1]] + 0.1 * random.random((count, people))
    spots = np.random.default_rng(0).normal(size=(people, 16))
    embeddings = likeness * (0.4 + share[:, None]) * spots[test.labels] + random.normal(size=(count, 16))
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    return {
        "predictions": predictions,
        "logits": logits.astype(np.float16),
        "losses": 4 * np.exp(-np.arange(epochs) / 3),
        "embeddings": embeddings.astype(np.float32),
    }


def estimated(*seeds):
    return {
        "mean": None if None in seeds else float(np.mean(seeds)),
        "low": None,
        "high": None,
        "over": None,
        "seeds": list(seeds),
        "identities": None,
    }


def bare_arm(last, best=None, *, others=None):
    """An arm of which nothing but rank-1 is known: one value a seed, for the protected and perhaps the others."""
    best = last if best is None else best
    recognition = {"protected": {"last": estimated(*last), "best": estimated(*best)}}
    if others is not None:
        recognition["others"] = {"last": estimated(*others), "best": estimated(*others)}
    return {"recognition": recognition, "verification": {}, "curves": {"rank1": {}, "loss": []}, "roc": {}}


def condition_of(arms, *, adversary="resnet-18", countermeasure="none", protected=None, identities=12, **more):
    """A condition with its verdict, named after what it is unless told otherwise; all are protected, or 5 where others are."""
    if protected is None:
        protected = 5 if any("others" in arm["recognition"] for arm in arms.values()) else identities
    seeds = len(next(iter(arms.values()))["recognition"]["protected"]["last"]["seeds"]) if arms else 0
    condition = {
        "name": f"{adversary}, {countermeasure}, {protected} of {identities}",
        "adversary": adversary,
        "countermeasure": countermeasure,
        "protected": protected,
        "identities": identities,
        "seeds": list(range(seeds)),
        "arms": arms,
    } | more
    judged = judge(condition)
    return condition | {"verdict": judged.outcome, "reasons": judged.reasons}


def simple_condition(clean=(0.8,), random=(0.8,), noise=(0.05,), best=None, **more):
    arms = {"clean": bare_arm(clean), "random": bare_arm(random), "error-minimizing": bare_arm(noise, best)}
    return condition_of(arms, **more)


def measured_condition(rates=RATES, *, seeds=(0, 1, 2), protected=5, identities=12, epochs=8, **more):
    """A condition whose arms went through ``measure_arm``."""
    test = held_out(identities)
    groups = make_groups(test, test.names[:protected])
    cells = {arm: [made_cell(test, protected, rates[arm], seed=seed, epochs=epochs) for seed in seeds] for arm in ARMS}
    arms = {arm: measure_arm(found, test, groups) for arm, found in cells.items()}
    return condition_of(arms, protected=protected, identities=identities, **more)


def result_of(*conditions, not_run=("fine-tuning", "blur"), **more):
    """The content of a result.json."""
    return {
        "title": "Faces in miniature",
        "claim": "Protected people are not recognized.",
        "paper": {"Figure 4 b": "50 of 10,575 identities are protected, and rank-1 falls to 16 %."},
        "verdict": conclude(conditions, not_run),
        "conditions": list(conditions),
        "expectations": {"protected at most 0.1 of clean": True, "others at least 0.9 of clean": False},
        "noise": {"epsilon_levels": 16, "psnr": 28.41, "ssim": 0.861, "lpips": None, "detectability_auc": 0.998},
        "settings": {"bank": {"rows": 150, "epsilon": 16}, "seeds": [0, 1, 2], "noisy_others": False},
        "pictures": [],
    } | more


RUN = {
    "command": "python -m eval recipes/miniature.py",
    "commit": "0123abc",
    "version": "0.1.0",
    "versions": {"torch": "2.11.0", "numpy": "2.3.0"},
    "hardware": "2 cores x86_64",
    "seconds": 12.5,
    "date": "2025-01-31",
}


def picture(name="person 0", *, seed=0):
    """A picture before and after a change of a few levels, as result.json holds it."""
    before = np.random.default_rng(seed).integers(40, 200, (24, 24, 3)).astype(np.uint8)
    return {"name": name, "before": as_png(before), "after": as_png(before + np.uint8(5))}


def as_png(pixels):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return base64.b64encode(buffer.getvalue()).decode("ascii")
