"""Frames of several transmitters to bursts and back: the room put together once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tokcom.context.condition import NOTHING, Condition
from tokcom.context.prior import Prior
from tokcom.errors import FrameError, ParameterError
from tokcom.frame import TokenFrame
from tokcom.multiple_access.burst import modulate_user
from tokcom.multiple_access.header import CODEBOOK_ID_MASK, FRAME_IDS, VECTORS_MASK, UserHeader
from tokcom.multiple_access.plan import MultiUserPlan
from tokcom.multiple_access.receiver import HeardUser, MultiUserObservation, observe
from tokcom.multiple_access.searcher import FoundMultiUserBurst
from tokcom.multiple_access.separation import SeparationSettings, Separator, Source
from tokcom.packets.codebook import Codebook, codebook_id


@dataclass(frozen=True)
class KnownCodebook:
    """A codebook that a receiver knows, and the prior of its tokens; None: without."""

    codebook: Codebook
    prior: Prior | None = None


@dataclass(frozen=True)
class SeparatedFrame:
    """One transmitter's burst as received.

    Attributes:
        frame: its tokens.
        confidence: float32 (n_slots,), their posteriors.
        superposed: the frame as it comes out where the others' signals are taken for noise.
        user: its port, channel, header and Es/N0.
    """

    frame: TokenFrame
    confidence: np.ndarray
    superposed: TokenFrame
    user: HeardUser


@dataclass(frozen=True)
class SeparatedBurst:
    """Result of receiving a burst.

    Attributes:
        frames: of the transmitters whose headers arrived and whose codebooks are known here.
        observed: what the receiver saw.
        hints: what was noticed, in words.
        passes: frames that priors were asked for.
    """

    frames: tuple[SeparatedFrame, ...]
    observed: MultiUserObservation
    hints: tuple[str, ...]
    passes: int


def header_of(plan: MultiUserPlan, frame: TokenFrame) -> UserHeader:
    """The header of a frame in a burst of a plan.

    Raises:
        FrameError: the frame is no grid of rows and columns.
        ParameterError: a field does not fit.
    """
    if len(frame.grid) > 2:
        raise FrameError(f"frame {frame.frame_id} has a grid of {frame.grid}; multiple access sends rows and columns")
    grid = frame.grid if len(frame.grid) == 2 else (1, *frame.grid)
    named = codebook_id(frame.codebook) & CODEBOOK_ID_MASK
    return UserHeader(frame.frame_id % FRAME_IDS, named, grid, frame.cmi, plan.codebook.id & VECTORS_MASK)


def modulate_frame(plan: MultiUserPlan, port: int, frame: TokenFrame) -> np.ndarray:
    """complex64 (plan.length,): the burst of one transmitter, of unit mean power.

    Raises:
        FrameError: tokens are lost, or the frame does not fit the plan.
        ParameterError: there is no such port, or a field of the header does not fit.
    """
    if frame.lost.any():
        raise FrameError(
            f"{int(frame.lost.sum())} tokens of frame {frame.frame_id} are lost; only whole frames are sent"
        )
    if frame.codebook_size > plan.codebook.size:
        raise FrameError(
            f"frame {frame.frame_id} has tokens of {frame.codebook_size} words; the codebook of modulation vectors has "
            f"{plan.codebook.size}"
        )
    return modulate_user(plan, port, header_of(plan, frame), frame.tokens)


class FrameSeparator:
    """Bursts to the frames of all transmitters.

    Args:
        plan: what is agreed upon.
        known: codebooks and their priors.
        settings: the schedule of separation.
        expected: ports that are expected to send, for the hints; None: any.

    Raises:
        ParameterError: a schedule out of its range, or two codebooks that a header cannot tell apart.
    """

    def __init__(
        self, plan: MultiUserPlan, known: Sequence[KnownCodebook], settings: SeparationSettings | None = None,
        expected: tuple[int, ...] | None = None,
    ):  # fmt: skip
        self.plan, self._expected = plan, expected
        self._known: Mapping[int, KnownCodebook] = _by_header(known)
        self._separator = Separator(settings)

    def separate(self, burst: FoundMultiUserBurst, cancelled: Callable[[], bool] = lambda: False) -> SeparatedBurst:
        """The frames of a burst.

        Raises:
            BurstError: nobody is heard.
        """
        observed = observe(burst.samples, burst.start, burst.frequency, self.plan, self._expected)
        hints = list(observed.hints)
        result = self._separator.separate(observed, [self._source(user) for user in observed.users], cancelled)
        superposed = one_at_a_time(observed)
        frames = []
        for row, user in enumerate(observed.users):
            if user.header is None:
                continue
            known = self._known.get(user.header.codebook_id)
            if known is None:
                hints.append(f"port {user.port} sends tokens of a codebook that is not known here")
                continue
            if user.header.vectors != self.plan.codebook.id & VECTORS_MASK:
                hints.append(f"port {user.port} sends other modulation vectors: another seed or codebook_size there?")
                continue
            if np.prod(user.header.grid) != self.plan.n_slots:
                hints.append(f"port {user.port} announces a grid of {user.header.grid}, which does not fill the burst")
                continue
            frames.append(
                SeparatedFrame(
                    self._frame(known, user, result.tokens[row]),
                    result.confidence[row],
                    self._frame(known, user, superposed[row]),
                    user,
                )
            )
        return SeparatedBurst(tuple(frames), observed, tuple(hints), result.passes)

    def _source(self, user: HeardUser) -> Source:
        """Knowledge about a transmitter; if its header was lost, it is taken to send what the receiver knows."""
        if user.header is None:
            only = next(iter(self._known.values())) if len(self._known) == 1 else None
            return Source(self._fitting(only))
        known = self._known.get(user.header.codebook_id)
        prior = self._fitting(known)
        told = prior is not None and user.header.cmi is not None and user.header.cmi < prior.num_classes
        return Source(prior, Condition(user.header.cmi) if told else NOTHING)

    def _fitting(self, known: KnownCodebook | None) -> Prior | None:
        """The prior, where it can predict the words of this plan."""
        prior = None if known is None else known.prior
        fits = prior is not None and prior.codebook_size == self.plan.codebook.size
        return prior if fits and (prior.grid is None or np.prod(prior.grid) == self.plan.n_slots) else None

    def _frame(self, known: KnownCodebook, user: HeardUser, tokens: np.ndarray) -> TokenFrame:
        codebook, header = known.codebook, user.header
        return TokenFrame(
            np.minimum(tokens, codebook.size - 1), codebook.name, codebook.size, header.grid, codebook.modality,
            header.cmi, header.frame_id,
        )  # fmt: skip


def one_at_a_time(observed: MultiUserObservation) -> np.ndarray:
    """int32 (users, n_slots): the likeliest token of each user if the others' signals are taken for noise."""
    matched = observed.channels.conj() * observed.values / observed.noise
    vectors = observed.plan.codebook.vectors
    energies = (np.abs(observed.channels) ** 2 / observed.noise) @ (np.abs(vectors) ** 2).T
    scores = 2 * (matched @ vectors.conj().T).real - energies
    return scores.argmax(axis=2).astype(np.int32)


def _by_header(known: Sequence[KnownCodebook]) -> dict[int, KnownCodebook]:
    found: dict[int, KnownCodebook] = {}
    for each in known:
        other = found.setdefault(each.codebook.id & CODEBOOK_ID_MASK, each)
        if other.codebook.id != each.codebook.id:
            raise ParameterError(
                f"codebooks {other.codebook.name} (id 0x{other.codebook.id:08X}) and {each.codebook.name} "
                f"(id 0x{each.codebook.id:08X}) have the same last 24 bits, and headers hold no more: leave one out"
            )
    return found
