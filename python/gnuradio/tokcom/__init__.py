"""GNU Radio blocks for token communications."""

from ._compat import make_alike

make_alike()

try:
    from .burst_demodulator import burst_demodulator
    from .burst_framer import burst_framer
    from .burst_sync import burst_sync
    from .channel_model import channel_model
    from .feedback_decoder import feedback_decoder
    from .feedback_encoder import feedback_encoder
    from .image_detokenizer import image_detokenizer
    from .image_receiver import image_receiver
    from .image_sink import image_sink
    from .image_source import image_source
    from .image_tokenizer import image_tokenizer
    from .image_transmitter import image_transmitter
    from .image_view import image_view
    from .link_monitor import link_monitor
    from .packet_decoder import packet_decoder
    from .packet_encoder import packet_encoder
    from .semantic_mcs import semantic_mcs
    from .sigmf_recorder import sigmf_recorder
    from .stream_filter import stream_filter
    from .token_mapper import token_mapper
    from .token_packetizer import token_packetizer
    from .token_recovery import token_recovery
except ModuleNotFoundError as error:
    if error.name and error.name.split(".")[0] in ("gnuradio", "pmt"):
        raise
    raise ModuleNotFoundError(
        f"gr-tokcom needs the Python package {error.name}, which this Python does not find: install those of its "
        "requirements/run.txt, or use the checkout's ./run, which brings its own, or with the Debian package call "
        "sudo gr-tokcom-setup; `tokcom doctor` tells more",
        name=error.name,
    ) from error

__all__ = [
    "burst_demodulator",
    "burst_framer",
    "burst_sync",
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
    "packet_decoder",
    "packet_encoder",
    "semantic_mcs",
    "sigmf_recorder",
    "stream_filter",
    "token_mapper",
    "token_packetizer",
    "token_recovery",
]
