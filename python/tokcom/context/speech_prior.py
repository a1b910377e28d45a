"""Prior of speech: words of residual quantizers over time, given others and the frame before."""

from collections.abc import Sequence

import numpy as np
import torch

from tokcom.context.condition import Condition
from tokcom.context.prior import Prior
from tokcom.context.speech_prior_network import SpeechPriorNetwork
from tokcom.device import network_bytes
from tokcom.errors import ModelError
from tokcom.frame import LOST, TokenFrame


class SpeechPrior(Prior):
    """Prior of a `SpeechPriorNetwork`, in any order, for frames of any length up to its window. The end of the frame
    before the present one, if it is known, informs it as well.

    Args:
        network: the network, in evaluation mode; it runs on the device that holds it.
        codebook: name of the codebook whose tokens it predicts.
        codes: float (quantizers - 1, codebook_size, code_dim), vectors of the envelope's words; None: guesses are the
            most likely words.
    """

    def __init__(self, network: SpeechPriorNetwork, codebook: str, codes: np.ndarray | None = None):
        config = network.config
        self.network, self.codebook, self.codebook_size = network, codebook, config.codebook_size
        self.grid, self.takes = None, frozenset({"before"})
        self.n_bytes, self.codes = network_bytes(network), codes

    def log_probabilities(
        self, tokens: np.ndarray, wanted: np.ndarray, conditions: Sequence[Condition]
    ) -> np.ndarray:  # fmt: skip
        parts = [self._one(*each) for each in zip(tokens, wanted, conditions, strict=True)]
        return np.concatenate(parts) if parts else np.zeros((0, self.codebook_size), np.float32)

    def require_fit(self, frame: TokenFrame, condition: Condition) -> None:
        super().require_fit(frame, condition)
        config = self.network.config
        shape = (config.quantizers, config.quantizers)
        if len(frame.grid) != 2 or (frame.grid[0], frame.quantizers) != shape or frame.grid[1] > config.frames:
            raise ModelError(
                f"frame {frame.frame_id} has {frame.quantizers} quantizers in a grid {frame.grid}; this model takes "
                f"{config.quantizers} quantizers and at most {config.frames} columns"
            )

    def guesses(self, log_probability: np.ndarray, places: np.ndarray, n_tokens: int) -> np.ndarray:
        """Guess the pitch by its likeliest word, and the envelope's by the one nearest to the mean vector: many
        words are possible, and the likeliest is often far from the others."""
        found = super().guesses(log_probability, places, n_tokens)
        if self.codes is None:
            return found
        stage = places * self.network.config.quantizers // n_tokens - 1
        shares = np.exp(log_probability - log_probability.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        for number, codes in enumerate(self.codes):
            here = stage == number
            mean = shares[here] @ codes
            found[here] = (mean @ codes.T - np.square(codes).sum(axis=1) / 2).argmax(axis=1)
        return found

    def _one(self, tokens: np.ndarray, wanted: np.ndarray, condition: Condition) -> np.ndarray:
        config = self.network.config
        device = self.network.position_embedding.device
        own = np.where(wanted | (tokens == LOST), config.codebook_size, tokens).reshape(config.quantizers, -1)
        window = np.full((config.quantizers, config.frames), config.codebook_size, np.int64)
        places = np.zeros(window.shape, bool)
        start = config.frames - own.shape[1]
        window[:, start:], places[:, start:] = own, wanted.reshape(own.shape)
        if condition.before is not None and condition.before.codebook == self.codebook and start:
            before = condition.before.tokens.reshape(config.quantizers, -1)[:, -start:]
            window[:, start - before.shape[1] : start] = np.where(before == LOST, config.codebook_size, before)
        with torch.inference_mode():
            logits = self.network(
                torch.from_numpy(window.reshape(1, -1)).to(device), torch.from_numpy(places.reshape(1, -1)).to(device)
            )
            return logits.float().log_softmax(-1).cpu().numpy()
