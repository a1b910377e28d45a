"""Layouts of sound codecs: EnCodec, DAC and Mimi as transformers' files keep them."""

from collections.abc import Mapping

from torch import Tensor

from tokcom.models.public.layout import Converted, numbers, renamed

TRAINING = (".cluster_size", ".embed_avg", ".inited")
"""Endings of the names of tensors that only training uses."""
NORMED = {"weight_g": "parametrizations.weight.original0", "weight_v": "parametrizations.weight.original1"}
"""Names of a convolution's normalised weights: older files, and PyTorch now."""
HALVES = {
    "encoder.layers.": "encoder.encoder_seanet.layers.", "encoder_transformer.": "encoder.encoder_transformer.",
    "downsample.": "encoder.downsample.", "upsample.": "decoder.upsample.",
    "decoder_transformer.": "decoder.decoder_transformer.", "decoder.layers.": "decoder.decoder_seanet.layers.",
}  # fmt: skip
"""Beginnings of names in Mimi's file, and in transformers' model of today."""
LEAST_USE = 1e-5
"""Least use of a word of Mimi's by which the sum of its vectors is divided."""


def from_encodec(tensors: Mapping[str, Tensor], rate: int = 24_000, quantizers: int = 8) -> Converted:
    """Convert the tensors of EnCodec for one channel.

    Args:
        tensors: tensors of the file by name.
        rate: samples per second.
        quantizers: residual quantizers to use.
    """
    own = {}
    for name, each in tensors.items():
        start, _, last = name.rpartition(".")
        if not name.endswith(TRAINING):
            own[f"{start}.{NORMED.get(last, last)}"] = each
    words, width = own["quantizer.layers.0.codebook.embed"].shape
    config = {
        "codebook_size": words, "quantizers": quantizers, "rate": rate, "width": width,
        "filters": len(own["encoder.layers.0.conv.bias"]), "lstm_layers": _lstm_layers(own), "ratios": _ratios(own),
        "all_quantizers": numbers(own, "quantizer.layers"),
    }  # fmt: skip
    return Converted("encodec", config, {f"model.{name}": each for name, each in own.items()})


def from_dac(tensors: Mapping[str, Tensor], rate: int = 16_000) -> Converted:
    """Convert the tensors of DAC.

    Args:
        tensors: tensors of the file by name.
        rate: samples per second.
    """
    words, code_dim = tensors["quantizer.quantizers.0.codebook.weight"].shape
    levels = numbers(tensors, "encoder.block")
    config = {
        "codebook_size": words, "quantizers": numbers(tensors, "quantizer.quantizers"), "rate": rate,
        "encoder_width": len(tensors["encoder.conv1.bias"]), "decoder_width": len(tensors["decoder.conv1.bias"]),
        "code_dim": code_dim,
        "ratios": [tensors[f"encoder.block.{level}.conv1.weight"].shape[2] // 2 for level in range(levels)],
    }  # fmt: skip
    return Converted("dac", config, {f"model.{name}": each for name, each in tensors.items()})


def from_mimi(
    tensors: Mapping[str, Tensor], rate: int = 24_000, quantizers: int = 8, head_width: int = 64
) -> Converted:  # fmt: skip
    """Convert the tensors of Mimi for one channel.

    Args:
        tensors: tensors of the file by name.
        rate: samples per second.
        quantizers: quantizers to use, the semantic one among them.
        head_width: width of an attention head.
    """
    width, mlp_width = tensors["encoder_transformer.layers.0.mlp.fc2.weight"].shape
    state = renamed(tensors, HALVES)
    kinds = [f"quantizer.{kind}_residual_vector_quantizer" for kind in ("semantic", "acoustic")]
    for number, kind in enumerate(kinds):
        state[f"enter.{number}.weight"] = tensors[f"{kind}.input_proj.weight"]
        state[f"leave.{number}.weight"] = tensors[f"{kind}.output_proj.weight"]
    for number in range(quantizers):
        codebook = f"{kinds[min(number, 1)]}.layers.{max(number - 1, 0)}.codebook"
        use = tensors[f"{codebook}.cluster_usage"].clamp(min=LEAST_USE)
        state[f"words.{number}.weight"] = tensors[f"{codebook}.embed_sum"] / use[:, None]
    words, code_dim = state["words.0.weight"].shape
    levels = numbers(tensors, "decoder.layers")
    lengths = [len(tensors[f"decoder.layers.{each}.conv.weight"][0, 0]) for each in range(levels)
               if f"decoder.layers.{each}.conv.weight" in tensors]  # fmt: skip
    config = {
        "codebook_size": words, "quantizers": quantizers, "rate": rate, "width": width,
        "filters": len(tensors["encoder.layers.0.conv.bias"]), "code_dim": code_dim,
        "ratios": [each // 2 for each in lengths if each % 2 == 0],
        "depth": numbers(tensors, "encoder_transformer.layers"), "heads": width // head_width, "mlp_width": mlp_width,
        "groups": width // tensors["upsample.conv.weight"].shape[1],
    }  # fmt: skip
    return Converted("mimi", config, state)


def _ratios(own: Mapping[str, Tensor]) -> list[int]:
    """Ratios of the decoder's levels: half of the lengths of its transposed convolutions, the only even ones."""
    layers = numbers(own, "decoder.layers")
    names = [f"decoder.layers.{number}.conv.{NORMED['weight_v']}" for number in range(layers)]
    lengths = [own[name].shape[2] for name in names if name in own]
    return [length // 2 for length in lengths if length % 2 == 0]


def _lstm_layers(own: Mapping[str, Tensor]) -> int:
    return len({name for name in own if name.startswith("encoder.") and ".lstm.weight_ih_l" in name})
