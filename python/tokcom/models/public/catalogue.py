"""Catalogue of public models: where their files are, what they are, and what they take."""

from dataclasses import dataclass, field
from typing import Any

from tokcom.errors import ModelError
from tokcom.tables import load_table

BYTES_PER_WEIGHT = {"disk": 2, "processors": 4}


@dataclass(frozen=True)
class PublicPart:
    """Part of a public model, which is one file.

    Attributes:
        layout: name of the layout of its tensors, one of `layout.LAYOUTS`.
        file: path of the file in its repository.
        family: family of the network that it becomes.
        config: configuration of that network.
        parameters: number of its weights.
        gflop: 10⁹ floating-point operations by what is computed, for one frame: encode and decode, or pass.
        repository: repository on the Hugging Face hub; empty if it is elsewhere.
        elsewhere: where it is, in words, if it is not there.
        bytes: size of the file; None if it is not known.
        sha256: hash of the file, in hexadecimal; None if it is not known.
        companions: further files of the repository, whose bytes the layout needs.
        keep: beginnings of the names of its tensors to read; all, if empty.
        settings: what its tensors do not tell.
    """

    layout: str
    file: str
    family: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    parameters: int = 0
    gflop: dict[str, float] = field(default_factory=dict)
    repository: str = ""
    elsewhere: str = ""
    bytes: int | None = None
    sha256: str | None = None
    companions: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def files(self) -> tuple[str, ...]:
        """Paths of all its files in the repository, the weights first."""
        return (self.file, *self.companions)

    @property
    def place(self) -> str:
        """Location of its files, for people."""
        where = f"{self.repository} (Hugging Face)" if self.repository else self.elsewhere
        return f"{', '.join(self.files)} of {where}"


@dataclass(frozen=True)
class PublicModel:
    """Public model of the catalogue.

    Attributes:
        name: its name here.
        description: one sentence.
        modality: what its tokens are of.
        classes: name of the list of its classes; empty for none.
        licence: licence of its weights.
        data: what it was trained on.
        parts: its files by the part of a model that each becomes.
    """

    name: str
    description: str
    modality: str
    classes: str
    licence: str
    data: str
    parts: dict[str, PublicPart]

    def class_names(self) -> list[str]:
        """Names of its classes."""
        return list(load_table("tokcom.models.public", self.classes)["classes"]) if self.classes else []

    def size(self, where: str) -> int:
        """Bytes that its weights take: on "disk" once imported, or in the memory of "processors"."""
        return BYTES_PER_WEIGHT[where] * sum(part.parameters for part in self.parts.values())


def base_name(file: str) -> str:
    """Name of a file of a repository, without its folder."""
    return file.rpartition("/")[2]


def public_models() -> dict[str, PublicModel]:
    """The models of the catalogue by name."""
    return {name: _model(name, row) for name, row in load_table("tokcom.models.public", "catalogue").items()}


def public_model(name: str) -> PublicModel:
    """Look up a model of the catalogue.

    Raises:
        ModelError: it does not have it; the message lists those that it has.
    """
    models = public_models()
    if name not in models:
        raise ModelError(f"no public model {name!r} in the catalogue; it has {', '.join(models)}")
    return models[name]


def _model(name: str, row: dict) -> PublicModel:
    parts = {
        part: PublicPart(
            **{key: tuple(value) if key in ("keep", "companions") else value for key, value in entry.items()}
        )
        for part, entry in row["parts"].items()
    }
    return PublicModel(name, **{key: value for key, value in row.items() if key != "parts"}, parts=parts)
