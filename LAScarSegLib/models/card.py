"""What a bundle says about itself: the content of `model.json`, typed and validated. Docs/models.md explains every key."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import InputError
from ..networks import NetworkPlan
from ..support.printable import printable
from .doubt_calibration import DoubtCalibration

FORMAT = 1
"""The version of `model.json`; a reader refuses newer ones."""
STAGES = ("cavity", "scar")
RESAMPLINGS = ("linear", "nnunet")
"""`linear`: trilinear both ways; `nnunet`: nnU-Net v2's default (cubic there, linear back, slices apart when they are thick)."""
STATISTICS = ("image", "region", "nonzero_box", "nonzero")
"""What the z-score's mean and SD are taken over: the whole image, the region that the network sees (the box around the atrium; the
whole image where there is none), the box of its non-zero voxels, or these voxels alone."""
ORIENTATIONS = ("lps", "stored")
"""`lps`: axes are permuted and flipped towards LPS before the network sees them; `stored`: as in the file, as in nnU-Net."""
ENSEMBLES = ("probability", "logits")
"""Folds are averaged as probabilities, or as logits, as in nnU-Net."""
NORMALISATIONS = ("zscore", "none")

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_VERSION = re.compile(r"\d{1,6}(\.\d{1,6}){0,3}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_TEXT = re.compile(r"\s*\S.*", re.DOTALL)
_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
_KEYS = (
    "format", "name", "version", "system", "stage", "variant", "threshold", "training", "scores", "intended_use", "licence", "terms",
    "simulated", "inputs", "preprocessing", "coarse", "fine", "files", "doubt",
)  # fmt: skip
"""Of `model.json`, in its order."""
_LEFT_OUT = ("doubt",)
"""Keys that are not written where there is nothing to say: a card from before them keeps its SHA-256."""
LARGEST_PATCH = 1024
LARGEST_ACTIVATIONS = 1 << 29
"""2 GiB in 32 bits, of which a pass needs a few: nnU-Net's largest preset (ResEnc XL, 192³ voxels, 32 channels) has half."""
SMALLEST_WEIGHT_BYTES = 2
"""A weight in 16 bits."""
SMALLEST_SPACING_MM = 0.2
"""Finer than any MRI of the heart: a scan resampled to less would fill the memory."""
LARGEST_SPACING_MM = 20.0
"""Thicker than any slice of a heart scan: a spacing beyond it is a mistake."""


@dataclass(frozen=True)
class Channel:
    """One input channel: its `name` as in the system's description (`lge`, `sdm_cavity`, ...), how it is normalised, and the value
    that lies beyond the image (−1 for a normalised distance map: 0 would mean "on the boundary")."""

    name: str
    normalisation: str = "none"
    padding: float = 0.0

    def __post_init__(self) -> None:
        _require(_matches(_NAME, self.name), "inputs.name", self.name, "a short lower-case name")
        _require_in("inputs.normalisation", self.normalisation, NORMALISATIONS)
        _require(_is_number(self.padding), "inputs.padding", self.padding, "a number")


@dataclass(frozen=True)
class NetworkSpec:
    """One network with its grid: `spacing_mm` and `patch` in the order (k, j, i); `weights` one file for each fold."""

    plan: NetworkPlan
    spacing_mm: tuple[float, float, float]
    patch: tuple[int, int, int]
    weights: tuple[str, ...]

    def __post_init__(self) -> None:
        triple = len(self.spacing_mm) == 3 and all(_is_number(s) and SMALLEST_SPACING_MM <= s <= LARGEST_SPACING_MM for s in self.spacing_mm)
        _require(triple, "spacing_mm", self.spacing_mm, f"three numbers from {SMALLEST_SPACING_MM:g} to {LARGEST_SPACING_MM:g} mm")
        whole = len(self.patch) == 3 and all(type(n) is int and 0 < n <= LARGEST_PATCH for n in self.patch)
        _require(whole, "patch", self.patch, f"three whole numbers from 1 to {LARGEST_PATCH}")
        if any(n % step for n, step in zip(self.patch, self.plan.divisor)):
            raise InputError(f"model.json: the patch {self.patch} is not a multiple of the network's strides {self.plan.divisor}.")
        if (needed := self.plan.activations(self.patch)) > LARGEST_ACTIVATIONS:
            raise InputError(
                f"model.json: the patch {self.patch} through {self.plan.features} channels needs {needed * 4 / 2**30:.0f} GiB and more at "
                f"once; a network here may need {LARGEST_ACTIVATIONS * 4 / 2**30:.0f}. Train it on smaller patches."
            )
        if self.plan.out_channels != 2:
            raise InputError(f"model.json: the network has {self.plan.out_channels} outputs; background and foreground are needed.")
        names = bool(self.weights) and all(isinstance(w, str) and w.endswith(".safetensors") for w in self.weights)
        _require(names, "weights", self.weights, "one or more names of .safetensors files")

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> NetworkSpec:
        values = _fields(cls, data, "network")
        return cls(NetworkPlan.from_json(values["plan"]), tuple(values["spacing_mm"]), tuple(values["patch"]), tuple(values["weights"]))


@dataclass(frozen=True)
class Preprocessing:
    """How a scan becomes the network's input and its output a probability on the scan's grid."""

    resampling: str = "linear"
    statistics: str = "image"
    orientation: str = "lps"
    axes: tuple[int, int, int] = (0, 1, 2)
    """The network's axes, as axes of the oriented array: nnU-Net's `transpose_forward`."""
    ensemble: str = "probability"
    mirror_axes: tuple[int, ...] = (0, 1, 2)
    """The axes along which the network was trained with mirroring, so that it may be asked for."""

    def __post_init__(self) -> None:
        choices = {"resampling": RESAMPLINGS, "statistics": STATISTICS, "orientation": ORIENTATIONS, "ensemble": ENSEMBLES}
        for key, known in choices.items():
            _require_in(f"preprocessing.{key}", getattr(self, key), known)
        _require(sorted(self.axes) == [0, 1, 2], "preprocessing.axes", self.axes, "0, 1 and 2 in some order")
        _require(set(self.mirror_axes) <= {0, 1, 2}, "preprocessing.mirror_axes", self.mirror_axes, "some of 0, 1 and 2")

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Preprocessing:
        values = _fields(cls, data, "preprocessing")
        return cls(**{key: tuple(value) if isinstance(value, list) else value for key, value in values.items()})


@dataclass(frozen=True)
class FileEntry:
    """A file of the bundle: its SHA-256 and length."""

    sha256: str
    bytes: int

    def __post_init__(self) -> None:
        _require(_matches(_DIGEST, self.sha256), "files.sha256", self.sha256, "64 hexadecimal digits")
        _require(type(self.bytes) is int and self.bytes >= 0, "files.bytes", self.bytes, "a whole number")


@dataclass(frozen=True)
class ModelCard:
    """Everything a bundle declares. `fine` is the network that segments; `coarse`, where there is one, finds the LA first.

    Raises
    ------
    InputError
        from the constructor and from `from_json`, naming the key and what it must be.
    """

    name: str
    version: str
    system: str
    """Key of the published system in `systems.SYSTEMS`."""
    stage: str
    fine: NetworkSpec
    channels: tuple[Channel, ...]
    intended_use: str
    licence: str
    coarse: NetworkSpec | None = None
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    threshold: float = 0.5
    training: dict[str, Any] = field(default_factory=dict)
    """What it was trained on and how: `data`, `cases`, `date`, ..."""
    scores: dict[str, Any] = field(default_factory=dict)
    """Measured scores, with the data they were measured on."""
    terms: str | None = None
    """Text the user must accept once before first use."""
    variant: str = "full"
    """Which of the stage's variants: the paper's own, or one of its ablations."""
    simulated: bool = False
    """Trained on simulated scans: for tests and demonstrations only."""
    files: dict[str, FileEntry] = field(default_factory=dict)
    """Every file of the bundle but `model.json`; `write_bundle` fills it in."""
    doubt: DoubtCalibration | None = None
    """How far a cavity that it finds can be trusted, told from what can be measured without the true one."""

    def __post_init__(self) -> None:
        for key, fits, wanted in (
            ("name", _matches(_NAME, self.name), "lower-case letters, digits, '-' and '_'"),
            ("version", _matches(_VERSION, self.version), "numbers with dots, such as 1.0.2"),
            ("system", isinstance(self.system, str) and self.system != "", "the key of a system"),
            ("stage", self.stage in STAGES, f"one of {', '.join(STAGES)}"),
            ("threshold", _is_number(self.threshold) and 0 < self.threshold < 1, "a number between 0 and 1"),
            ("simulated", isinstance(self.simulated, bool), "true or false"),
            ("variant", isinstance(self.variant, str) and self.variant != "", "a variant of the stage"),
            ("intended_use", _matches(_TEXT, self.intended_use), "a text that is not empty"),
            ("licence", _matches(_TEXT, self.licence), "a text that is not empty"),
            ("terms", self.terms is None or _matches(_TEXT, self.terms), "a text or null"),
            ("training", isinstance(self.training, dict), "an object"),
            ("scores", isinstance(self.scores, dict), "an object"),
            ("doubt", self.doubt is None or self.stage == "cavity", "left out for this stage"),
        ):
            _require(fits, key, getattr(self, key), wanted)
        self._check_networks()

    def _check_networks(self) -> None:
        names = [channel.name for channel in self.channels]
        _require(names[:1] == ["lge"], "inputs", names, "a list that starts with lge")
        _require(self.channels[0].normalisation == "zscore", "inputs.normalisation of lge", self.channels[0].normalisation, "zscore")
        if self.fine.plan.in_channels != len(self.channels):
            raise InputError(f"model.json: the network takes {self.fine.plan.in_channels} channels, {len(self.channels)} are declared.")
        if self.coarse is not None and self.coarse.plan.in_channels != 1:
            raise InputError(f"model.json: the coarse network takes {self.coarse.plan.in_channels} channels; it must take the scan alone.")
        for name in self.files:
            check_file_name(name)
        used = {*(self.coarse.weights if self.coarse else ()), *self.fine.weights}
        if self.files and (unlisted := sorted(used - set(self.files))):
            raise InputError(f"model.json: {', '.join(unlisted)} is used but not listed with its SHA-256.")
        self._check_weights()

    def _check_weights(self) -> None:
        """A plan can claim billions of weights; the files that it comes with can't hold more than they are long."""
        for spec in filter(None, (self.fine, self.coarse)):
            needed = spec.plan.parameters * SMALLEST_WEIGHT_BYTES
            for name in spec.weights:
                if self.files and self.files[name].bytes < needed:
                    raise InputError(
                        f"model.json: the network has {spec.plan.parameters:,} weights, {needed / 2**20:.1f} MiB at least, and {name} has "
                        f"{self.files[name].bytes / 2**20:.1f} MiB. Get the bundle again."
                    )

    @property
    def sha256(self) -> str:
        """The bundle's hash: over everything `model.json` says, the hashes of the other files among it."""
        canonical = json.dumps(self._content(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode("ascii")).hexdigest()

    @property
    def reference(self) -> str:
        """`NAME@VERSION`, as the store finds it."""
        return f"{self.name}@{self.version}"

    def to_json(self) -> dict[str, Any]:
        """The content of `model.json`."""
        return self._content() | {"sha256": self.sha256}

    def _content(self) -> dict[str, Any]:
        values = dataclasses.asdict(self)
        values |= {"format": FORMAT, "inputs": values["channels"], "files": dict(sorted(values["files"].items()))}
        return {key: values[key] for key in _KEYS if key not in _LEFT_OUT or values[key] is not None}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ModelCard:
        """From the content of a `model.json`; checks its format, every value and its own hash."""
        values = dict(data)
        version = values.pop("format", None)
        if type(version) is not int or version < 1:
            raise InputError("model.json has no format number: this is not a LAScarSeg model bundle.")
        if version > FORMAT:
            raise InputError(f"The bundle has format {version}, this program reads up to {FORMAT}. Update LAScarSeg to use it.")
        digest = values.pop("sha256", None)
        try:
            values["channels"] = tuple(Channel(**_fields(Channel, entry, "input")) for entry in values.pop("inputs"))
            values["preprocessing"] = Preprocessing.from_json(values.get("preprocessing", {}))
            values["fine"] = NetworkSpec.from_json(values["fine"])
            values["coarse"] = NetworkSpec.from_json(values["coarse"]) if values.get("coarse") else None
            values["doubt"] = None if values.get("doubt") is None else DoubtCalibration.from_json(values["doubt"])
            values["files"] = {name: FileEntry(**_fields(FileEntry, entry, "file")) for name, entry in values["files"].items()}
            card = cls(**_fields(cls, values, "model.json"))
        except (KeyError, TypeError, AttributeError, OverflowError) as error:
            raise InputError(f"model.json can't be used: {type(error).__name__}: {printable(error)}. Get the bundle again.") from error
        if not card.files:
            raise InputError("model.json lists no files, so nothing in the bundle can be checked. Get the bundle again.")
        if digest != card.sha256:
            raise InputError(
                f"model.json of {card.name} was changed after the bundle was made (its SHA-256 does not fit). Get the bundle again."
            )
        return card


def check_file_name(name: object) -> None:
    """`InputError` naming it unless a bundle may hold a file of this name: no folder, nothing hidden, no code."""
    if not _matches(_FILE_NAME, name):
        raise InputError(f"The bundle has a file named {name!r}: only plain names without folders are allowed. It is refused.")
    if not name.endswith((".safetensors", ".json", ".md", ".txt")):
        raise InputError(
            f"The bundle holds {name}: only .safetensors, .json, .md and .txt are allowed, since other files can hold code. It is refused."
        )


def _fields(cls: type, data: Mapping[str, Any], where: str) -> dict[str, Any]:
    if not isinstance(data, Mapping):
        raise InputError(f"model.json: the {where} entry is {data!r}; it must be an object.")
    fields = dataclasses.fields(cls)
    unknown = sorted(set(data) - {f.name for f in fields})
    needed = {f.name for f in fields if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING}
    missing = sorted(needed - set(data))
    if unknown or missing:
        words = [f"{word} {', '.join(names)}" for word, names in (("unknown key", unknown), ("missing key", missing)) if names]
        raise InputError(f"model.json can't be used ({where}): {'; '.join(words)}.")
    return dict(data)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < float("inf")


def _matches(pattern: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _require(fits: bool, key: str, value: object, wanted: str) -> None:
    if not fits:
        raise InputError(f"model.json: {key} is {value!r}; it must be {wanted}.")


def _require_in(key: str, value: object, choices: tuple[str, ...]) -> None:
    _require(value in choices, key, value, f"one of {', '.join(choices)}")
