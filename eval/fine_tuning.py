"""An adversary who starts from a network that knows faces, and fine-tunes all of it on the photos.

K identities, D embedding.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path

from lightning_fabric import Fabric

from faceguard.adversary import Attack, Progress, train_and_try
from faceguard.checkpoint import Checkpoint
from faceguard.device import seeded
from faceguard.errors import RunError
from faceguard.frozen import locate, weights_hash
from faceguard.identities import Faces
from faceguard.recognizer import Extractor, Recognizer
from faceguard.runs import load_model
from faceguard.train import ChangeBatch, TrainSettings


@dataclass(frozen=True, kw_only=True)
class FineTuned:
    """A pre-trained network with a new classification head; every layer is trained, at a small rate.

    ``weights`` as for ``Frozen``, but networks of PyTorch alone: an .onnx file cannot be trained.
    """

    weights: str
    train: TrainSettings = field(default_factory=lambda: TrainSettings(epochs=3, batch_size=32, learning_rate=0.01))

    def attack(
        self,
        fabric: Fabric,
        train: Faces,
        test: Faces,
        *,
        seed: int,
        change_batch: ChangeBatch | None = None,
        progress: Progress | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> Attack:
        """Fine-tune on ``train`` at the network's own size, and try the clean ``test`` after every epoch.

        Raises RunError for weights that cannot be loaded or trained.
        """
        pretrained = load_model(self.weights)
        if not isinstance(pretrained, Extractor):
            raise RunError(
                f"{self.weights} cannot be trained further; give a run folder, a .ckpt or published weights."
            )
        with seeded(seed, "head"):
            model = Recognizer(
                pretrained.features,
                pretrained.dimension,
                len(train.names),
                name=f"fine-tuned {Path(self.weights).name}",
                size=pretrained.size,
            )
        return train_and_try(
            fabric,
            model,
            train,
            test,
            self.train,
            seed=seed,
            change_batch=change_batch,
            progress=progress,
            checkpoint=checkpoint,
        )

    def located(self, folder: Path) -> "FineTuned":
        """With its weights below ``folder``, unless they are published ones or their path is absolute."""
        return replace(self, weights=locate(self.weights, folder))

    def fingerprint(self) -> str:
        """Its fields, the weights by name and SHA-256. Raises RunError when they are missing."""
        return f"{replace(self, weights=Path(self.weights).name)!r} {weights_hash(self.weights)}"
