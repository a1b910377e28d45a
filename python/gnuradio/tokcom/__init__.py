"""GNU Radio blocks for token communications."""

try:
    from .burst_demodulator import burst_demodulator
    from .burst_framer import burst_framer
    from .burst_sync import burst_sync
    from .channel_model import channel_model
    from .image_detokenizer import image_detokenizer
    from .image_sink import image_sink
    from .image_source import image_source
    from .image_tokenizer import image_tokenizer
    from .packet_decoder import packet_decoder
    from .packet_encoder import packet_encoder
    from .semantic_mcs import semantic_mcs
    from .sigmf_recorder import sigmf_recorder
    from .token_mapper import token_mapper
    from .token_packetizer import token_packetizer
    from .token_recovery import token_recovery
except ModuleNotFoundError as error:
    if error.name and error.name.split(".")[0] in ("gnuradio", "pmt"):
        raise
    raise ModuleNotFoundError(
        f"gr-tokcom needs the Python package {error.name}, which this Python does not find: install those of its "
        "requirements/run.txt, or use the checkout's ./run, which brings its own",
        name=error.name,
    ) from error

__all__ = [
    "burst_demodulator",
    "burst_framer",
    "burst_sync",
    "channel_model",
    "image_detokenizer",
    "image_sink",
    "image_source",
    "image_tokenizer",
    "packet_decoder",
    "packet_encoder",
    "semantic_mcs",
    "sigmf_recorder",
    "token_mapper",
    "token_packetizer",
    "token_recovery",
]
