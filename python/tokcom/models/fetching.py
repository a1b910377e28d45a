"""Models that a receiver lacks, fetched while it receives."""

import threading
from collections.abc import Callable, Collection
from pathlib import Path
from queue import SimpleQueue

from tokcom.errors import TokcomError
from tokcom.models.travel import pull

MAX_ASKED = 64
"""Codebooks that are asked for at most: a sender may name any number."""


class ModelFetcher:
    """Fetches the models of codebooks that a receiver meets without knowing them, in a thread of its own, each once.

    Args:
        server: address of a server of models, as in `offload.address.EdgeAddress.of`.
        target: folder of models.
        signers: public keys of signers of whom one must have signed a model; empty: only its hashes are checked.
        arrived: called with the folder of each model that has come, in that thread.
        told: called with a sentence about each success and each failure, in that thread.
    """

    def __init__(
        self, server: str, target: Path, signers: Collection[bytes], arrived: Callable[[str], None],
        told: Callable[[str], None] = lambda said: None,
    ):  # fmt: skip
        self._server, self._target, self._signers = server, target, signers
        self._arrived, self._told = arrived, told
        self._asked: set[int] = set()
        self._wanted: SimpleQueue[int | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="models", daemon=True)
        self._thread.start()

    def want(self, codebook_id: int) -> None:
        """Ask for the model of a codebook, by its id on the air, unless that was done before."""
        if codebook_id not in self._asked and len(self._asked) < MAX_ASKED:
            self._asked.add(codebook_id)
            self._wanted.put(codebook_id)

    def close(self, grace_s: float = 5.0) -> None:
        """End, once what was asked for has come or some seconds are over."""
        self._wanted.put(None)
        self._thread.join(grace_s)

    def _work(self) -> None:
        while (number := self._wanted.get()) is not None:
            name = f"0x{number:08x}"
            try:
                folder = str(pull(self._server, name, self._target, self._signers))
                self._arrived(folder)
            except TokcomError as error:
                self._told(f"the model of codebook {name} cannot be had: {error}")
            else:
                self._told(f"the model of codebook {name} has come: {folder}")
