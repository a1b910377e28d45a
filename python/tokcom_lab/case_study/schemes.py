"""Schemes compared by the case study, as data."""

from collections.abc import Sequence
from dataclasses import dataclass

from tokcom.errors import ParameterError


@dataclass(frozen=True)
class Scheme:
    """Scheme of sending a picture over the link.

    Attributes:
        name: name in --schemes.
        label: label in figures.
        mode: mode of the receiver's recovery (`link.modes`) for tokens; empty for codecs.
        codec: codec of `picture_codecs`; empty for tokens.
        cmi: whether the receiver knows the class; None if that makes no difference.
        repeats: whether packets are resent until they are received.
    """

    name: str
    label: str
    mode: str = ""
    codec: str = ""
    cmi: bool | None = None
    repeats: bool = False

    @property
    def plain(self) -> str:
        """Name without the part that depends on `cmi`."""
        return self.name.removesuffix("-nocmi")


SCHEMES = {
    scheme.name: scheme
    for scheme in (
        Scheme("vqgan", "VQ tokens", "keep"),
        Scheme("vqgan+r", "VQ tokens, repeated", "keep", repeats=True),
        Scheme("tokcom", "TokCom with CMI (the paper)", "mask", cmi=True),
        Scheme("tokcom-nocmi", "TokCom without CMI", "mask", cmi=False),
        Scheme("list", "list: channel and CRC", "list"),
        Scheme("context", "context with CMI: channel, CRC and model", "context", cmi=True),
        Scheme("context-nocmi", "context without CMI", "context", cmi=False),
        Scheme("webp", "WebP", codec="webp"),
        Scheme("webp+r", "WebP, repeated", codec="webp", repeats=True),
        Scheme("avif", "AVIF", codec="avif"),
        Scheme("avif+r", "AVIF, repeated", codec="avif", repeats=True),
        Scheme("jpeg2000", "JPEG 2000", codec="jpeg2000"),
        Scheme("jpeg2000+r", "JPEG 2000, repeated", codec="jpeg2000", repeats=True),
        Scheme("cheng2020", "Cheng2020", codec="cheng2020"),
        Scheme("cheng2020+r", "Cheng2020, repeated", codec="cheng2020", repeats=True),
    )
}
"""All schemes by name: those of section VI of the paper, ours, and picture codecs at the same number of bits."""


def find_schemes(names: Sequence[str]) -> list[Scheme]:
    """Look up schemes by their names; "all" means all.

    Raises:
        ParameterError: there is no such scheme.
    """
    if list(names) == ["all"]:
        return list(SCHEMES.values())
    for name in names:
        if name not in SCHEMES:
            raise ParameterError(f"scheme is {name!r}; it must be all or some of {', '.join(SCHEMES)}")
    return [SCHEMES[name] for name in dict.fromkeys(names)]
