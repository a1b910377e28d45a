"""Receivers that are measured in the same scene: ours, those of the literature, orthogonal access, and a genie."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tokcom.channel.awgn import awgn
from tokcom.context.condition import NOTHING, Condition
from tokcom.context.prior import Prior
from tokcom.context.recovery import Recovery
from tokcom.errors import BurstError, ParameterError
from tokcom.frame import LOST
from tokcom.link.airtime import frame_samples
from tokcom.link.known_noise import SymbolLink
from tokcom.link.receiver import Receiver
from tokcom.link.transmitter import TransmitConfig, Transmitter
from tokcom.mcs import find_mcs
from tokcom.models.codebooks import codebook
from tokcom.models.recovery import load_recovery
from tokcom.models.zoo import load_context
from tokcom.multiple_access.receiver import MultiUserObservation
from tokcom.multiple_access.separation import Separator, Source
from tokcom.phy.numerology import CARRIERS
from tokcom_lab.multiple_access.overlay import Overlay
from tokcom_lab.multiple_access.scene import SAMPLE_RATE, Scene
from tokcom_lab.multiple_access.sparse import matching_pursuit, message_passing

TDMA = "tdma "
TDMA_MODES = ("viterbi", "context")
GENIE_PARTS = 16
"""One token in this number is unknown to the genie's prior."""
SHARED = ("todma", "pair", "omp", "omp fill", "amp")
"""Receivers of one burst of modulation vectors."""
OVERLAID = ("sic", "spread")
NAMES = (*SHARED, *OVERLAID, "genie")


@dataclass(frozen=True)
class Received:
    """A scene as decoded by a receiver.

    Attributes:
        tokens: int32 (users, n_slots).
        airtime: samples that all users together are on the air.
        confidence: float32 (users, n_slots), posteriors; None where there are none.
        headers_lost: users whose header did not arrive.
    """

    tokens: np.ndarray
    airtime: int
    confidence: np.ndarray | None = None
    headers_lost: int = 0


def require_receiver(name: str) -> None:
    """Raise ParameterError unless there is such a receiver."""
    if name.startswith(TDMA):
        mode, _, mcs = name.removeprefix(TDMA).partition(" ")
        find_mcs(mcs)
        if mode in TDMA_MODES:
            return
    if name not in NAMES:
        raise ParameterError(
            f"receiver is {name!r}; it must be one of {', '.join(NAMES)}, or "
            "'tdma viterbi' or 'tdma context' and an MCS"
        )


class Receivers:
    """All receivers for frames of one model.

    Args:
        model: name or folder.
        device: where networks run.
    """

    def __init__(self, model: str, device: str):
        self.prior: Prior = load_context(model, device)
        self._fill = Recovery(self.prior)
        self._separator = Separator()
        self._symbols = SymbolLink(Transmitter(TransmitConfig()), Receiver([codebook(model)]))
        self._recoveries = {
            mode: load_recovery(model, name, device) for mode, name in zip(TDMA_MODES, ("keep", "context"), strict=True)
        }

    def receive(self, name: str, scene: Scene) -> Received:
        """Decode a scene with one receiver; users that are not heard come out as token 0.

        Raises:
            ParameterError: there is no such receiver.
        """
        require_receiver(name)
        if name.startswith(TDMA):
            return self._one_after_the_other(name, scene)
        if name == "genie":
            return Received(self._genie(scene), scene.plan.length)
        try:
            if name in OVERLAID:
                return Received(Overlay(scene, name == "spread").tokens(), scene.plan.length)
            return self._shared(name, scene, scene.observe())
        except BurstError:
            return Received(np.zeros_like(scene.tokens), scene.plan.length, headers_lost=len(scene.frames))

    def _shared(self, name: str, scene: Scene, observed: MultiUserObservation) -> Received:
        tokens = np.zeros_like(scene.tokens)
        confidence = None
        ports = [user.port for user in observed.users if user.port < len(tokens)]
        rows = [row for row, user in enumerate(observed.users) if user.port < len(tokens)]
        if name in ("todma", "pair"):
            prior = self.prior if name == "todma" else None
            found = self._separator.separate(
                observed, [Source(prior, _condition(user.header)) for user in observed.users]
            )
            got, confidence = found.tokens, np.zeros(tokens.shape, np.float32)
            confidence[ports] = found.confidence[rows]
        else:
            detect: Callable = message_passing if name == "amp" else matching_pursuit
            got = detect(observed)
            if name == "omp fill":
                got = np.stack(
                    [
                        self._fill.recover(scene.frames[0].with_tokens(row), condition=_condition(user.header))[
                            0
                        ].tokens
                        for row, user in zip(got, observed.users, strict=True)
                    ]
                )
        tokens[ports] = got[rows]
        lost = len(tokens) - sum(user.header is not None for user in observed.users if user.port < len(tokens))
        return Received(tokens, scene.plan.length, confidence, lost)

    def _one_after_the_other(self, name: str, scene: Scene) -> Received:
        """TDMA: a burst of the air interface each, with as much energy as the shared burst; the channel is known."""
        mode, _, mcs = name.removeprefix(TDMA).partition(" ")
        rows, total = [], 0
        for user, frame in enumerate(scene.frames):
            indices = np.full(len(frame.tokens) // 4, find_mcs(mcs).index, np.uint8)
            length = frame_samples(frame, TransmitConfig(mcs))
            gain_db = 10 * np.log10(scene.plan.length / length)
            rng = np.random.default_rng([scene.seed, 3, user])
            signal = self._symbols.transmit(frame, 0, indices)
            (arrival,) = self._symbols.receive(signal.in_noise(scene.carrier_esn0_db[user] + gain_db, rng))
            rows.append(self._recoveries[mode].recover(arrival.frame, arrival.received).frame.tokens)
            total += length
        tokens = np.stack(rows)
        return Received(np.where(tokens == LOST, 0, tokens), total)

    def _genie(self, scene: Scene) -> np.ndarray:
        """Channels and all tokens of the others are known, and all of the own but the one in question."""
        out = np.zeros_like(scene.tokens)
        slots = np.arange(scene.plan.n_slots)
        for user, frame in enumerate(scene.frames):
            rng = np.random.default_rng([scene.seed, 4, user])
            gains = 10 ** ((scene.carrier_esn0_db[user] - scene.esn0_db) / 20)
            h = gains[scene.plan.slot_cells % len(CARRIERS)]
            vectors = scene.plan.codebook.vectors
            y = h * vectors[frame.tokens] + awgn(np.zeros(h.shape, np.complex64), scene.esn0_db, rng)
            scores = (2 * np.real((h * y) @ vectors.conj().T) - h**2 @ (np.abs(vectors) ** 2).T) / scene.noise
            for part in range(GENIE_PARTS):
                hidden = slots % GENIE_PARTS == (part + slots // GENIE_PARTS * 5) % GENIE_PARTS
                shown = np.where(hidden, LOST, frame.tokens).astype(np.int32)
                said = self.prior.log_probabilities(shown[None], hidden[None], [Condition.of(frame)])
                out[user, hidden] = (scores[hidden] + said).argmax(axis=1)
        return out


def _condition(header: object) -> Condition:
    return NOTHING if header is None or header.cmi is None else Condition(header.cmi)


def airtime_ms(samples: int) -> float:
    """Milliseconds at the scene's sample rate."""
    return 1e3 * samples / SAMPLE_RATE
