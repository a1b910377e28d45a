"""Networks of public sound codecs, as those of transformers: EnCodec, DAC and Mimi."""

from dataclasses import asdict, dataclass
from math import prod
from typing import ClassVar

import torch
from torch import Tensor, nn
from transformers import DacConfig as StockDacConfig
from transformers import DacModel, EncodecModel, MimiModel
from transformers import EncodecConfig as StockEncodecConfig
from transformers import MimiConfig as StockMimiConfig


@dataclass(frozen=True)
class EncodecShape:
    """Shape of an `EncodecNetwork`; it is stored in the model's card.

    Attributes:
        quantizers: residual quantizers in use, at most those that the network has.
        ratios: of the sampling rates of the decoder's levels.
        all_quantizers: quantizers that the network has.
    """

    max_seconds: ClassVar[int] = 600
    codebook_size: int = 1024
    quantizers: int = 8
    rate: int = 24_000
    width: int = 128
    filters: int = 32
    lstm_layers: int = 2
    ratios: tuple[int, ...] = (8, 5, 4, 2)
    all_quantizers: int = 32

    as_dict = asdict

    @property
    def hop(self) -> int:
        """Samples per column of words."""
        return prod(self.ratios)


class EncodecNetwork(nn.Module):
    """Signals to words and back; the interface is that of `neural_codec.NeuralCodec`."""

    def __init__(self, config: EncodecShape):
        super().__init__()
        self.config = config
        # The number of quantizers follows from the largest rate, in kbit/s.
        bits = config.codebook_size.bit_length() - 1
        largest = config.all_quantizers * bits * -(-config.rate // config.hop) / 1000
        shape = StockEncodecConfig(
            target_bandwidths=[largest], sampling_rate=config.rate, hidden_size=config.width,
            num_filters=config.filters, upsampling_ratios=list(config.ratios), num_lstm_layers=config.lstm_layers,
            codebook_size=config.codebook_size, codebook_dim=config.width,
        )  # fmt: skip
        with torch.device("cpu"):  # sizes that its convolutions keep as tensors must have values
            self.model = EncodecModel(shape)
        for layer in self.model.quantizer.layers:
            for name in ("inited", "cluster_size", "embed_avg"):  # which only training uses
                delattr(layer.codebook, name)

    def encode(self, signals: Tensor) -> Tensor:
        """Encode signals (1, 1, n) to words, int64 (1, quantizers, columns)."""
        residual, found = self.model.encoder(signals), []
        for layer in self.model.quantizer.layers[: self.config.quantizers]:
            words = layer.encode(residual)
            residual = residual - layer.decode(words)
            found.append(words)
        return torch.stack(found, 1)

    def vectors(self, words: Tensor, quantizer: int) -> Tensor:
        """Vectors (1, width, columns) of one quantizer's words, int64 (1, columns)."""
        return self.model.quantizer.layers[quantizer].decode(words)

    def synthesize(self, total: Tensor) -> Tensor:
        """Decode the sum of all quantizers' vectors to signals (1, 1, n)."""
        return self.model.decoder(total)


@dataclass(frozen=True)
class DacShape:
    """Shape of a `DacNetwork`; it is stored in the model's card.

    Attributes:
        ratios: of the sampling rates of the encoder's levels.
    """

    max_seconds: ClassVar[int] = 600
    codebook_size: int = 1024
    quantizers: int = 12
    rate: int = 16_000
    encoder_width: int = 64
    decoder_width: int = 1536
    code_dim: int = 8
    ratios: tuple[int, ...] = (2, 4, 5, 8)

    as_dict = asdict

    @property
    def hop(self) -> int:
        """Samples per column of words."""
        return prod(self.ratios)


class DacNetwork(nn.Module):
    """Signals to words and back; the interface is that of `neural_codec.NeuralCodec`."""

    def __init__(self, config: DacShape):
        super().__init__()
        self.config = config
        shape = StockDacConfig(
            encoder_hidden_size=config.encoder_width, downsampling_ratios=list(config.ratios),
            decoder_hidden_size=config.decoder_width, n_codebooks=config.quantizers,
            codebook_size=config.codebook_size, codebook_dim=config.code_dim, sampling_rate=config.rate,
        )  # fmt: skip
        with torch.device("cpu"):
            self.model = DacModel(shape)

    def encode(self, signals: Tensor) -> Tensor:
        """Encode signals (1, 1, n) to words, int64 (1, quantizers, columns)."""
        residual, found = self.model.encoder(signals), []
        for number, layer in enumerate(self.model.quantizer.quantizers):
            latents = nn.functional.normalize(layer.in_proj(residual), dim=1)
            words = (latents.mT @ nn.functional.normalize(layer.codebook.weight, dim=1).T).argmax(-1)
            residual = residual - self.vectors(words, number)
            found.append(words)
        return torch.stack(found, 1)

    def vectors(self, words: Tensor, quantizer: int) -> Tensor:
        """Vectors (1, width, columns) of one quantizer's words, int64 (1, columns)."""
        layer = self.model.quantizer.quantizers[quantizer]
        return layer.out_proj(layer.codebook(words).mT)

    def synthesize(self, total: Tensor) -> Tensor:
        """Decode the sum of all quantizers' vectors to signals (1, 1, n)."""
        return self.model.decoder(total)


@dataclass(frozen=True)
class MimiShape:
    """Shape of a `MimiNetwork`; it is stored in the model's card.

    Attributes:
        width, depth, heads, mlp_width: of its two transformers.
        code_dim: width of the words' vectors.
        ratios: of the sampling rates of the decoder's levels.
        groups: of the layer that doubles the rate of columns.
    """

    max_seconds: ClassVar[int] = 300  # its attention takes memory by the square
    codebook_size: int = 2048
    quantizers: int = 8
    rate: int = 24_000
    width: int = 512
    filters: int = 64
    code_dim: int = 256
    ratios: tuple[int, ...] = (8, 6, 5, 4)
    depth: int = 8
    heads: int = 8
    mlp_width: int = 2048
    groups: int = 512

    as_dict = asdict

    @property
    def hop(self) -> int:
        """Samples per column of words, half as many as the convolutions give."""
        return 2 * prod(self.ratios)


class MimiNetwork(nn.Module):
    """Signals to words and back; the interface is that of `neural_codec.NeuralCodec`.

    The first quantizer, the semantic one, and those behind it, which are residual, are given the same latents.
    """

    def __init__(self, config: MimiShape):
        super().__init__()
        self.config = config
        shape = StockMimiConfig(
            sampling_rate=config.rate, hidden_size=config.width, num_filters=config.filters,
            upsampling_ratios=list(config.ratios), codebook_size=config.codebook_size, codebook_dim=config.code_dim,
            vector_quantization_hidden_dimension=config.code_dim, num_quantizers=2, upsample_groups=config.groups,
            num_hidden_layers=config.depth, intermediate_size=config.mlp_width, num_attention_heads=config.heads,
            num_key_value_heads=config.heads,
        )  # fmt: skip
        with torch.device("cpu"):
            model = MimiModel(shape)
        self.encoder, self.decoder = model.encoder, model.decoder
        self.enter = nn.ModuleList(nn.Conv1d(config.width, config.code_dim, 1, bias=False) for _ in range(2))
        self.leave = nn.ModuleList(nn.Conv1d(config.code_dim, config.width, 1, bias=False) for _ in range(2))
        self.words = nn.ModuleList(
            nn.Embedding(config.codebook_size, config.code_dim) for _ in range(config.quantizers)
        )

    def encode(self, signals: Tensor) -> Tensor:
        """Encode signals (1, 1, n) to words, int64 (1, quantizers, columns)."""
        latents, found = self.encoder(signals).latents, []
        for number, words in enumerate(self.words):
            if number < 2:
                residual = self.enter[number](latents).mT
            found.append(torch.cdist(residual, words.weight[None]).argmin(-1))
            residual = residual - words(found[-1])
        return torch.stack(found, 1)

    def vectors(self, words: Tensor, quantizer: int) -> Tensor:
        """Vectors (1, width, columns) of one quantizer's words, int64 (1, columns)."""
        return self.leave[min(quantizer, 1)](self.words[quantizer](words).mT)

    def synthesize(self, total: Tensor) -> Tensor:
        """Decode the sum of all quantizers' vectors to signals (1, 1, n)."""
        return self.decoder(total).audio_values
