"""A prior that a server of the Open Inference Protocol computes, such as Triton or Ray Serve."""

from collections.abc import Callable, Sequence

import numpy as np

from tokcom.context.condition import Condition
from tokcom.context.prediction import Prediction
from tokcom.context.prior import Prior
from tokcom.errors import ModelError
from tokcom.frame import LOST
from tokcom.offload.address import EdgeAddress
from tokcom.offload.inference_connection import InferenceConnection
from tokcom.offload.messages import ServedModel
from tokcom.offload.remote_prior import RemotePrior


class InferencePrior(RemotePrior):
    """Prior at an address such as http://HOST:8000/v2/models/NAME; arguments and errors are those of `RemotePrior`, of
    which `local` or `like` must be given."""

    connection: InferenceConnection

    def __init__(self, *arguments: object, **settings: object):
        super().__init__(*arguments, **settings)
        self.takes = self.takes & {"label"}

    def _connected(
        self, server: "str | EdgeAddress | InferenceConnection", deadline_s: float | None, told: Callable[[str], None]
    ) -> InferenceConnection:  # fmt: skip
        return server if isinstance(server, InferenceConnection) else InferenceConnection(server, deadline_s, told)

    def _found(
        self, tokens: np.ndarray, wanted: np.ndarray, conditions: Sequence[Condition], top: int | None
    ) -> Prediction:  # fmt: skip
        hidden = np.where(wanted | (tokens == LOST), self.codebook_size, tokens)
        labels = np.array([self.num_classes if each.label is None else each.label for each in conditions])
        logits = self.connection.logits(hidden, labels, self.codebook_size)[wanted]
        logits = logits - logits.max(-1, keepdims=True)
        return Prediction.dense(logits - np.log(np.exp(logits).sum(-1, keepdims=True))).top(top)

    def _served(self, codebook: str | None) -> ServedModel:
        raise ModelError(
            f"{self.connection.address.endpoint} does not tell the codebook of its model: give a prior on the device"
        )


def remote_prior(
    server: str | EdgeAddress, local: Prior | Callable[[], Prior] | None = None, **settings: object
) -> RemotePrior:  # fmt: skip
    """Make the prior of a server by the kind of its address: `RemotePrior`, or `InferencePrior` for HTTP; arguments and
    errors are those of `RemotePrior`."""
    address = EdgeAddress.of(server) if isinstance(server, str) else server
    kind = InferencePrior if address.is_http else RemotePrior
    return kind(address, local, **settings)
