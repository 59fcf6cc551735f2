"""Three sizes of every experiment: smoke (seconds, shows that it runs), small (two cores, shows the effect), full (the paper's).

A recipe states its experiment once; the scale decides how much data it takes, and `eval.contenders` how long is trained.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from faceguard.readers.record import Record

Scale = Literal["smoke", "small", "full"]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much of a data set is taken: identities, photos of each, and LFW's photos; None takes all."""

    identities: int | None = None
    photos: int | None = None
    lfw_photos: int | None = None

    def apply(self, records: Sequence[Record]) -> list[Record]:
        """The first ``photos`` of the first ``identities`` that are listed."""
        allowed = list(dict.fromkeys(record.identity for record in records))[: self.identities]
        taken: Counter[str] = Counter()
        kept = []
        for record in records:
            taken[record.identity] += 1
            if record.identity in allowed and (self.photos is None or taken[record.identity] <= self.photos):
                kept.append(record)
        return kept


LIMITS: Mapping[Scale, Limits] = {
    "smoke": Limits(identities=6, photos=10, lfw_photos=200),
    "small": Limits(),
    "full": Limits(),
}
