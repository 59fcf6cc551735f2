"""Everything faceguard raises on purpose.

FaceguardError
├── DataError              a folder, file or label that cannot serve as training or test data
│   ├── SetMissingError    a classification set that is not on this machine; see ``datasets``
│   └── NothingReadError   photos of which not one could be used as a face
├── PhotoError             one photo that cannot be read, protected or written
├── BankError              a noise bank that is damaged, or does not fit what it is used on
├── RunError               a run folder or model that cannot be loaded or resumed
├── DeviceError            a device or precision that this machine does not have
├── NoiseDidNotConverge    Algorithm 1 used up its rounds before the error fell below lambda
└── TrainingDiverged       the loss is no longer finite

A message is a sentence: what happened, to which path or value, and what to do next.
"""


class FaceguardError(Exception):
    """Base of every expected failure; the command line prints its message and exits with 1."""


class DataError(FaceguardError):
    """A folder, file or label cannot serve as training or test data."""


class NothingReadError(DataError):
    """Not one of several photos could be read, or shows a face."""


class PhotoError(FaceguardError):
    """One photo cannot be read, protected or written."""


class BankError(FaceguardError):
    """A noise bank is damaged, or does not fit what it is used on."""


class RunError(FaceguardError):
    """A run folder or model cannot be loaded or resumed."""


class DeviceError(FaceguardError):
    """This machine does not have the requested device or precision."""


class NoiseDidNotConverge(FaceguardError):  # noqa: N818 - it names the outcome, as the design's tree does
    """Algorithm 1 used up its rounds before the training error fell below lambda."""


class TrainingDiverged(FaceguardError):  # noqa: N818
    """The training loss is no longer finite."""
