"""A prior that an edge server computes; where the server fails, a prior on the device answers in its place."""

from collections.abc import Callable, Sequence
from threading import Lock

import numpy as np

from tokcom.context.condition import Condition
from tokcom.context.prediction import Prediction
from tokcom.context.prior import Prior
from tokcom.errors import ModelError, ParameterError, TransportError
from tokcom.frame import TokenFrame
from tokcom.offload.address import EdgeAddress
from tokcom.offload.connection import EdgeConnection
from tokcom.offload.messages import (
    COARSE,
    EXACT,
    LARGEST,
    MAX_FRAMES,
    PREDICTION,
    PredictRequest,
    ServedModel,
    answer_bytes,
    read_prediction,
)  # fmt: skip
from tokcom.offload.wire import Reader, require_kind
from tokcom.packets.codebook import codebook_id

FORMS = {"exact": EXACT, "coarse": COARSE}
"""Forms of log-probabilities on the way, by name: float32, or a byte each (`context.prediction.LEVELS`)."""
AT_ONCE = 8
"""Frames that are asked for together: a server's batch."""


class RemotePrior(Prior):
    """Prior of an edge server, in any order.

    Args:
        server: address of the server, as in `EdgeAddress.of`, or a connection to it.
        local: prior on the device of the same codebook, or a function that loads it, which answers within the same
            deadline where the server does not; None to fail instead.
        codebook: name of the codebook; None for the local prior's, or for the only one that the server has.
        like: prior that tells codebook, grid and conditions in place of a local one or the server.
        deadline_s: seconds from a question to its answer; None for the address's.
        form: one of FORMS.
        told: called with a sentence when the server fails, and when it answers again.

    Raises:
        ParameterError: there is no such form.
        TransportError: the address is invalid; or, without a local prior, the server does not answer.
        ModelError: without a local prior: the server has no such prior.
    """

    def __init__(
        self, server: "str | EdgeAddress | EdgeConnection", local: Prior | Callable[[], Prior] | None = None, *,
        codebook: str | None = None, like: Prior | None = None, deadline_s: float | None = None, form: str = "exact",
        told: Callable[[str], None] = lambda said: None,
    ):  # fmt: skip
        if form not in FORMS:
            raise ParameterError(f"form is {form!r}; it must be one of {', '.join(FORMS)}")
        self.connection = self._connected(server, deadline_s, told)
        self._local, self._loading, self._form = local, Lock(), FORMS[form]
        self.at_once = AT_ONCE
        self.answered_here = 0
        like = like or self.local
        if like is None:
            self._described_by(self._served(codebook))
        else:
            self.codebook, self.codebook_size, self.grid = like.codebook, like.codebook_size, like.grid
            self.num_classes, self.takes, self.n_bytes = like.num_classes, like.takes - {"before"}, like.n_bytes
            if codebook not in (None, like.codebook):
                raise ModelError(f"the prior here is of codebook {like.codebook}, not {codebook}")

    @property
    def local(self) -> Prior | None:
        """Prior on the device, loaded on first access."""
        with self._loading:
            if self._local is not None and not isinstance(self._local, Prior):
                self._local = self._local()
            return self._local

    def log_probabilities(
        self, tokens: np.ndarray, wanted: np.ndarray, conditions: Sequence[Condition]
    ) -> np.ndarray:  # fmt: skip
        return self.predict(tokens, wanted, conditions).log_probability

    def predict(
        self, tokens: np.ndarray, wanted: np.ndarray, conditions: Sequence[Condition], top: int | None = None
    ) -> Prediction:
        """Predict as `Prior.predict`, by the server, or by the prior on the device where that fails.

        Raises:
            TransportError: the server fails, and there is no prior on the device.
        """
        try:
            return self._found(tokens, wanted, conditions, top)
        except TransportError:
            if self.local is None:
                raise
            self.answered_here += len(tokens)
            return self.local.predict(tokens, wanted, conditions, top)

    def _connected(
        self, server: "str | EdgeAddress | EdgeConnection", deadline_s: float | None, told: Callable[[str], None]
    ) -> EdgeConnection:  # fmt: skip
        return server if isinstance(server, EdgeConnection) else EdgeConnection(server, deadline_s, told)

    def _found(
        self, tokens: np.ndarray, wanted: np.ndarray, conditions: Sequence[Condition], top: int | None
    ) -> Prediction:  # fmt: skip
        """Ask the server; raises TransportError if it fails."""
        requests, readers = [], []
        for part in self._parts(wanted, top):
            number_wanted = int(wanted[part].sum())
            request = PredictRequest(
                codebook_id(self.codebook), max(1, round(1000 * self.connection.deadline_s)), tokens[part],
                wanted[part], tuple(conditions[part]), top, self._form,
            )  # fmt: skip
            requests.append(request.encode)
            readers.append(lambda kind, reader, n=number_wanted: self._read(kind, reader, n, top))
        found = self.connection.ask(requests, readers)
        return found[0] if len(found) == 1 else Prediction.joined(found)

    def require_fit(self, frame: TokenFrame, condition: Condition) -> None:
        super().require_fit(frame, condition)
        if self.local is not None:
            self.local.require_fit(frame, condition)

    def _read(self, kind: int, reader: Reader, wanted: int, top: int | None) -> Prediction:
        require_kind(kind, PREDICTION)
        return read_prediction(reader, wanted, self.codebook_size, top)

    def _parts(self, wanted: np.ndarray, top: int | None) -> list[slice]:
        """Divide frames among requests whose answers are within the limit."""
        most = answer_bytes(int(wanted.sum(axis=1).max()), self.codebook_size, top, self._form)
        step = max(1, min(AT_ONCE, MAX_FRAMES, LARGEST // most))
        return [slice(start, start + step) for start in range(0, len(wanted), step)]

    def _served(self, codebook: str | None) -> ServedModel:
        models = [each for each in self.connection.models() if "prior" in each.parts]
        known = ", ".join(each.codebook for each in models) or "none"
        if codebook is None and len(models) != 1:
            raise ModelError(f"the edge server has priors of {known}; name one codebook")
        number = None if codebook is None else codebook_id(codebook)
        for each in models:
            if number in (None, codebook_id(each.codebook)):
                return each
        raise ModelError(f"the edge server has no prior of {codebook}; it has those of {known}")

    def _described_by(self, served: ServedModel) -> None:
        self.codebook, self.codebook_size = served.codebook, served.codebook_size
        self.grid, self.num_classes, self.takes = served.grid or None, served.num_classes, served.takes
