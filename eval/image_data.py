"""The photos of a classification study: its sets, the noise that is put on them, and what each run trains on."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock
from numpy.typing import NDArray

from eval import banks
from eval.image_noise import Learnt, drawn_share, learn, put, settings_of, store_of
from eval.image_scales import NEAREST, Size, size_of
from eval.image_study import ImageNoise, ImageStudy, Run
from eval.scales import Scale
from faceguard.about import UNKNOWN, commit
from faceguard.bank import NoiseBank, load_bank
from faceguard.controls import phase_randomized
from faceguard.datasets import SetMissingError, list_set, load_set
from faceguard.device import ChosenPrecision, generator, make_fabric
from faceguard.errors import DataError, NoiseDidNotConverge
from faceguard.identities import Faces, merge
from faceguard.noise import Round
from faceguard.outputs import write_json

SEED = 0  # of which photos carry noise: the same for all runs of a study


@dataclass(kw_only=True)
class StudyImages:
    """Everything that the runs of one study share; sets are read and noises learnt when first needed, and kept.

    ``stand_in`` is the set that replaces one that is absent: the one that it is nearest to (``image_scales.NEAREST``) or, where
    the study does not lack that one, any. Asking for an absent set that nothing replaces raises SetMissingError.
    """

    study: ImageStudy
    folder: Path
    noises_folder: Path
    scale: Scale = "small"
    precision: ChosenPrecision = "bf16"
    stand_in: str | None = None
    progress: Callable[[Round], None] = lambda _: None
    _sets: dict[str, tuple[Faces, Faces]] = field(init=False, default_factory=dict)
    _digests: dict[str, str] = field(init=False, default_factory=dict)
    _banks: dict[tuple[ImageNoise, str], tuple[NoiseBank, Learnt]] = field(init=False, default_factory=dict)

    def size_of(self, name: str) -> Size:
        """How much of the set is taken, and how noise is learnt and networks are trained on it."""
        usual = size_of(name, self.scale)
        return self.study.small or usual if self.scale == "small" else usual

    def set_of(self, name: str) -> tuple[str, Faces, Faces]:
        """The set of this name, or what stands in for it: its own name, training and clean test photos."""
        try:
            return name, *self._load(name)
        except SetMissingError:
            if self.stand_in is None or not self._replaces(self.stand_in, name):
                raise
            return self.stand_in, *self._load(self.stand_in)

    def _replaces(self, stand_in: str, absent: str) -> bool:
        nearest = NEAREST.get(stand_in)
        return absent == nearest or nearest not in self.study.sets or self.at_hand(nearest)

    def at_hand(self, name: str) -> bool:
        """Whether the set itself is in the folder; nothing is decoded. Raises DataError for a set that nobody knows."""
        classes = self.size_of(name).classes
        try:
            list_set(name, self.folder, classes)
        except SetMissingError:
            return False
        return True

    def photos_of(self, run: Run) -> tuple[str, Faces, Faces]:
        """A run's set by name, its training and clean test photos without noise, with the class that is joined to it.

        Trained on are as many of that class as any other has at most: ten times as many are recognized for their number alone.
        """
        name, train, test = self.set_of(run.data)
        if run.joined is None:
            return name, train, test
        other, joined = run.joined
        _, more, more_test = self.set_of(other)
        return name, merge(train, _no_more(more.of([joined]), train)), merge(test, more_test.of([joined]))

    def training(self, run: Run) -> Faces:
        """The photos that a run trains on."""
        name, train, _ = self.photos_of(run)
        noisy = self.noisy(run, train)
        if run.keep == "clean":
            return train.take(np.setdiff1d(np.arange(len(train)), noisy))
        layers = [(self.bank(noise, name)[0], noise) for noise in run.noises]
        if len(layers) < 2 or run.mixed == "sum":
            return put(train, noisy, layers) if layers else train
        order = torch.randperm(len(noisy), generator=generator(SEED, "which noise")).numpy()
        for layer, part in zip(layers, np.array_split(noisy[order], 2), strict=True):
            train = put(train, part, [layer])
        return train

    def testing(self, run: Run) -> Faces:
        """The clean test photos; of a triggered run, once more with another class's row, which is then their label."""
        name, _, test = self.photos_of(run)
        if not run.triggered or run.noise is None:
            return test
        count = len(test.names)
        shift = torch.randint(1, count, (len(test),), generator=generator(SEED, "triggers")).numpy()
        wanted = replace(test, labels=(test.labels + shift) % count)
        carrying = put(wanted, np.arange(len(test)), [(self.bank(run.noise, name)[0], run.noise)])
        return merge(test, carrying)

    def noisy(self, run: Run, train: Faces) -> NDArray[np.int64]:
        """Indices of the photos that carry noise."""
        if unknown := set(run.classes or ()) - set(train.names):
            raise DataError(f"There is no class {', '.join(sorted(unknown))}; there are {', '.join(train.names)}.")
        labels = [i for i, name in enumerate(train.names) if run.classes is None or name in run.classes]
        drawn = drawn_share(train, run.share, seed=SEED, what="carries noise").numpy()
        return np.asarray(drawn[np.isin(train.labels[drawn], labels)])

    def bank(self, noise: ImageNoise, data: str) -> tuple[NoiseBank, Learnt]:
        """The rows of ``noise`` for the set ``data``, and how they were learnt."""
        if (noise, data) not in self._banks:
            bank, learnt = self._learnt(noise, noise.learnt_on or data)
            if noise.random_phases:
                bank = phase_randomized(bank, seed=noise.seed)
            self._banks[noise, data] = bank, learnt
        return self._banks[noise, data]

    def has_bank(self, noise: ImageNoise, data: str) -> bool:
        """Whether `bank` need not learn it first."""
        return (noise, data) in self._banks or self.file_of(noise, data).exists()

    def file_of(self, noise: ImageNoise, data: str) -> Path:
        """The file that the bank is kept in: several noises may put the same rows on photos in ways of their own."""
        return self._path(noise, *self.set_of(noise.learnt_on or data)[:2])

    def _learnt(self, noise: ImageNoise, data: str) -> tuple[NoiseBank, Learnt]:
        """From the noises' folder, or learnt now; of several processes, one learns it."""
        name, train, _ = self.set_of(data)
        path = self._path(noise, name, train)
        about, checkpoint = path.with_suffix(".json"), path.with_suffix(".partial")
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")):
            if not path.exists():
                fabric, by = make_fabric(precision=self.precision), commit() or UNKNOWN
                try:
                    bank, learnt = learn(
                        fabric, train, noise, self.size_of(name), checkpoint=checkpoint, progress=self.progress
                    )
                except NoiseDidNotConverge as error:
                    which = f"The {noise.kind} {noise.form} noise of seed {noise.seed} for {name}"
                    raise NoiseDidNotConverge(f"{which} was not learnt. {error}") from error
                write_json(about, asdict(learnt) | {"commit": by})
                bank.save(path)
            for passing in (checkpoint, store_of(checkpoint)):  # perhaps of a run that ended before it did this
                passing.unlink(missing_ok=True)
        found = banks.learning(path)
        return load_bank(path), Learnt(**{one.name: found[one.name] for one in fields(Learnt)})

    def _path(self, noise: ImageNoise, name: str, train: Faces) -> Path:
        """Named by what determines the rows: not how, or where, they are put on photos."""
        size = self.size_of(name)
        settings = replace(settings_of(noise, size), max_rounds=1)  # more rounds may be allowed later
        learning = (noise.kind, noise.form, noise.source, noise.solver, noise.seed, settings)
        everything = (*learning, size.width, size.train, size.learn_on, *(["from zero"] if noise.from_zero else []))
        if name not in self._digests:
            self._digests[name] = train.digest()
        return self.noises_folder / banks.file_name(everything, self._digests[name], self.precision)

    def _load(self, name: str) -> tuple[Faces, Faces]:
        if name not in self._sets:
            size = self.size_of(name)
            limits = {"classes": size.classes, "photos": size.photos, "test_photos": size.test_photos}
            self._sets[name] = load_set(name, self.folder, size=size.pixels, **limits)
        return self._sets[name]


def _no_more(joined: Faces, others: Faces) -> Faces:
    """The first photos of the class ``joined``, as many as the largest class of the ``others`` has."""
    return joined.take(np.arange(min(len(joined), int(np.bincount(others.labels).max()))))
