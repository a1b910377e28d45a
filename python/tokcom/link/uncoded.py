"""Link that maps tokens to constellation points without bits, code or packets, with MAP detection."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tokcom.context.condition import Condition
from tokcom.context.joint_decoding import ContextSettings
from tokcom.context.masked_turns import MaskedTurns
from tokcom.context.prediction import Prediction
from tokcom.context.prior import Prior
from tokcom.context.questions import result_of
from tokcom.errors import ParameterError
from tokcom.frame import TokenFrame
from tokcom.modulation.direct import DirectMapping, likeliest_tokens
from tokcom.packets.labels import TokenLabels

SCHEDULE = ContextSettings(rounds=3, turns=2)
"""Schedule of detection: a single token informs the model little, so fewer turns suffice than for coded packets."""
SMALLEST = 1e-12
"""Lower limit on the probability of all other tokens together."""


@dataclass(frozen=True)
class TokenDecision:
    """Result of MAP detection of single tokens, as packets of one token (`context.joint_decoding.Decision`)."""

    tokens: np.ndarray
    log_odds: np.ndarray
    marginals: np.ndarray
    evidence: np.ndarray
    words: None = None


class UncodedLink:
    """Link that sends the tokens of frames without code.

    With a prior, the prior probability of every token is conditioned on the tokens that are certain so far: detection
    and context alternate as in mode "context" of coded packets (`context.joint_decoding`), with one token per packet.
    Without one, all tokens are equally likely, and the decision is the nearest point.

    Args:
        scheme: scheme as in `modulation.direct.DirectMapping`.
        labels: labels of the codebook.
        prior: prior of the tokens; None for uniform.
        settings: schedule of detection with context.

    Raises:
        ParameterError: the scheme is unknown, or has too few points.
    """

    def __init__(
        self, scheme: str, labels: TokenLabels, prior: Prior | None = None,
        settings: ContextSettings | None = None,
    ):  # fmt: skip
        self.mapping, self.labels = DirectMapping(scheme, len(labels)), labels
        self._joint = MaskedTurns(prior, settings or SCHEDULE)

    def transmit(self, frame: TokenFrame) -> np.ndarray:
        """Map a frame to symbols, complex64 (n_tokens, n_symbols).

        Raises:
            FrameError: a token lies outside the codebook, or is lost.
        """
        return self.mapping.map(self.labels.label(frame.tokens))

    def receive(
        self, outline: TokenFrame, symbols: np.ndarray, noise_variance: float | np.ndarray,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> tuple[TokenFrame, np.ndarray]:  # fmt: skip
        """Decide for the most likely frame, token by token.

        Args:
            outline: a frame with codebook, grid and CMI; its tokens are ignored.
            symbols: complex (n_tokens, n_symbols), equalised to unit mean energy.
            noise_variance: N0; one value, or an array that broadcasts to the symbols.
            cancelled: called before every pass of the model; once it returns true, the frame is returned as it is by
                then.

        Returns:
            The frame, and the posterior of each of its tokens, float32 (n_tokens,).

        Raises:
            ModelError: the model does not fit the frame.
            ParameterError: the symbols are not those of the frame.
        """
        count = len(outline.tokens)
        if len(symbols) != count:
            raise ParameterError(f"{len(symbols)} rows of symbols do not match a frame of {count} tokens")
        likelihoods = self.mapping.log_likelihoods(symbols, noise_variance)

        def detect(rows: np.ndarray, priors: Prediction) -> TokenDecision:
            log_priors = priors.at(np.arange(outline.codebook_size)[None, None].repeat(len(rows), 0))
            tokens, posterior = likeliest_tokens(likelihoods[rows], self.labels.of_tokens, log_priors[:, 0])
            rest = np.maximum(1 - posterior.max(axis=1).astype(np.float64), SMALLEST)
            evidence = np.logaddexp.reduce(likelihoods[rows][:, self.labels.of_tokens] + log_priors[:, 0], axis=1)
            return TokenDecision(tokens[:, None], np.log1p(-rest) - np.log(rest), posterior[:, None], evidence)

        work = self._joint.decode(
            outline, np.arange(count)[:, None], np.zeros((count, 1), np.int32), np.zeros(count, bool), detect,
            Condition.of(outline), cancelled,
        )  # fmt: skip
        decision = result_of(work, lambda: self._joint.prior)
        return outline.with_tokens(decision.tokens[:, 0]), decision.confidence[:, 0]
