"""Networks of public sound codecs, as those of transformers: EnCodec and DAC."""

from dataclasses import asdict, dataclass
from math import prod

import torch
from torch import Tensor, nn
from transformers import DacConfig as StockDacConfig
from transformers import DacModel, EncodecModel
from transformers import EncodecConfig as StockEncodecConfig


@dataclass(frozen=True)
class EncodecShape:
    """Shape of an `EncodecNetwork`; it is stored in the model's card.

    Attributes:
        quantizers: residual quantizers in use, at most those that the network has.
        ratios: of the sampling rates of the decoder's levels.
        all_quantizers: quantizers that the network has.
    """

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
