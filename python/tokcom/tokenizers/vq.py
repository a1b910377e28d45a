"""Pictures as tokens of a VQ codebook, and back, by a network in PyTorch."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from tokcom.device import network_bytes
from tokcom.errors import ParameterError
from tokcom.frame import TokenFrame
from tokcom.tokenizers.concealing import ConcealingNetwork, mean_vectors
from tokcom.tokenizers.picture_tokenizer import PictureTokenizer
from tokcom.tokenizers.token_search import TokenSearch
from tokcom.tokenizers.vq_network import VQAutoencoder, as_input, as_pictures

AT_ONCE = {"cpu": 1, "cuda": 32}
"""Pictures per call of the network, by type of device; smaller batches are padded. With other batch sizes sums round
differently, and a picture's tokens would depend on the rest of its batch."""


class VQTokenizer(PictureTokenizer):
    """Tokenizer made of a trained `VQAutoencoder`: a pure function of the picture and of these arguments.

    Args:
        network: the network, in evaluation mode; it runs on the device that holds it.
        codebook: identity of its codebook.
        search: search that improves the encoder's tokens; None for none.
        visits: number of search passes per picture; 0 keeps the encoder's tokens.
        concealing: decoder of pictures some of whose tokens were lost; None if there is none.
        thinned: decoder of pictures of which only some tokens were sent; None if there is none.

    Raises:
        ParameterError: `visits` is negative, or positive without a search.
    """

    def __init__(
        self, network: VQAutoencoder, codebook: str, search: TokenSearch | None = None, visits: int = 0,
        concealing: ConcealingNetwork | None = None, thinned: ConcealingNetwork | None = None,
    ):  # fmt: skip
        if visits < 0 or (visits and search is None):
            raise ParameterError(f"visits is {visits}; it must be 0 without a search, and at least 0 with one")
        config = network.config
        self.search, self.visits = search, visits
        self.network, self.concealing, self.thinned = network, concealing, thinned
        self.codebook = codebook
        self.codebook_size = config.codebook_size
        self.image_size = config.image_size
        self.grid = self._grid(config)
        self.n_bytes = sum(network_bytes(each) for each in (network, concealing, thinned) if each is not None)

    @staticmethod
    def _grid(config: object) -> tuple[int, ...]:
        return (config.image_size // config.patch_size,) * 2

    def encode(self, pictures: np.ndarray) -> np.ndarray:
        self.require_pictures(pictures)
        return self._together(self._encoded, as_input(np.ascontiguousarray(pictures))).numpy().astype(np.int32)

    def decode(self, tokens: np.ndarray) -> np.ndarray:
        return self._together(self._decoded, torch.from_numpy(tokens.astype(np.int64))).numpy()

    def decoder_of(self, frame: TokenFrame) -> ConcealingNetwork | None:
        """Return the decoder that was trained on pictures that lack tokens as a frame does; None if there is none."""
        return self.thinned if frame.thinning and self.thinned is not None else self.concealing

    def decode_expected(
        self, tokens: np.ndarray, lost: np.ndarray, log_probabilities: np.ndarray,
        decoder: ConcealingNetwork | None = None,
    ) -> np.ndarray:  # fmt: skip
        """Decode a picture some of whose tokens were lost, given what a prior expects in their place.

        Args:
            tokens: int (n,); values at lost places are ignored.
            lost: bool (n,).
            log_probabilities: float32 (lost tokens, codebook_size), natural ones of the prior.
            decoder: decoder that was trained on such pictures; None to decode the means of the code vectors, which have
                less squared error than the likeliest words.

        Returns:
            uint8 (image_size, image_size, 3).
        """
        codes = self.network.codebook
        known = torch.from_numpy(np.where(lost, 0, tokens).astype(np.int64)).reshape(1, *self.grid).to(codes.device)
        gone = torch.from_numpy(lost).reshape(1, *self.grid).to(codes.device)
        logs = torch.from_numpy(log_probabilities).to(codes.device)
        with torch.inference_mode():
            if decoder is not None:
                shown = decoder(self.network, known, gone, logs)
            else:
                shown = self.network.decode_vectors(mean_vectors(codes, known, gone, logs.exp()))
            return as_pictures(shown.float())[0].cpu().numpy()

    def _encoded(self, pictures: Tensor) -> Tensor:
        with torch.no_grad():
            tokens = self.network.encode(pictures.to(self.network.codebook.dtype))
        return self.search.improve(pictures, tokens, self.visits) if self.visits else tokens

    def _decoded(self, tokens: Tensor) -> Tensor:
        with torch.inference_mode():
            return as_pictures(self._pictures(tokens).float())

    def _pictures(self, tokens: Tensor) -> Tensor:
        """Pictures (batch, 3, size, size) in [-1, 1] of tokens."""
        return self.network.decode(tokens)

    def _together(self, work: Callable[[Tensor], Tensor], batch: Tensor) -> Tensor:
        """Run the network on `AT_ONCE` pictures per call, whatever the batch's size."""
        device = self.network.codebook.device
        count, done = AT_ONCE[device.type], []
        for start in range(0, len(batch), count):
            part = batch[start : start + count]
            filled = torch.cat([part, part[-1:].expand(count - len(part), *part.shape[1:])])
            done.append(work(filled.to(device))[: len(part)].cpu())
        return torch.cat(done)
