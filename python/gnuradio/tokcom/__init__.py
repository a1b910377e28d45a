"""GNU Radio blocks for token communications.

Each block is imported on first use, so a flowgraph loads only what its own blocks need.
"""

import sys
from importlib import import_module
from types import ModuleType

from ._compat import make_alike

make_alike()

__all__ = [
    "audio_detokenizer",
    "audio_sink",
    "audio_source",
    "audio_tokenizer",
    "burst_demodulator",
    "burst_framer",
    "burst_sync",
    "caption_join",
    "channel_model",
    "feedback_decoder",
    "feedback_encoder",
    "image_detokenizer",
    "image_receiver",
    "image_sink",
    "image_source",
    "image_tokenizer",
    "image_transmitter",
    "image_view",
    "link_monitor",
    "multiuser_sync",
    "packet_decoder",
    "packet_encoder",
    "semantic_mcs",
    "sigmf_recorder",
    "source_decoder",
    "source_encoder",
    "stream_filter",
    "text_detokenizer",
    "text_sink",
    "text_source",
    "text_tokenizer",
    "text_view",
    "token_datagram_sink",
    "token_datagram_source",
    "token_mapper",
    "token_packetizer",
    "token_receiver",
    "token_recovery",
    "token_separator",
    "token_spreader",
    "token_thinner",
    "token_transmitter",
    "video_sink",
    "video_tokenizer",
]


def __getattr__(name: str) -> type:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(f".{name}", __name__), name)
    except ModuleNotFoundError as error:
        if error.name and error.name.split(".")[0] in ("gnuradio", "pmt"):
            raise
        raise ModuleNotFoundError(
            f"gr-tokcom needs the Python package {error.name}, which this Python cannot find: install those of its "
            "requirements/run.txt, or use the checkout's ./run, which installs its own, or with the Debian package run "
            "sudo gr-tokcom-setup; see `tokcom doctor`",
            name=error.name,
        ) from error


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Blocks(ModuleType):
    """Module type of the package: binds a block's name to its class, where Python would bind the module."""

    def __setattr__(self, name: str, value: object) -> None:
        holds_block = isinstance(value, ModuleType) and name in __all__
        super().__setattr__(name, getattr(value, name) if holds_block else value)


sys.modules[__name__].__class__ = _Blocks
