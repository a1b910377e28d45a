"""Receiver of frames in bursts, composed once for blocks, simulator and benchmarks.

Each stage is a separate method, so that a flowgraph can put a block between any two of them; `Receiver.receive` simply
runs the stages in sequence.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from tokcom.errors import FrameError, LockedError, ModelError, RejectedError, TokcomError
from tokcom.frame import BITS, LOST, TOKENS, BitFrame, Payload, TokenFrame, token_limits
from tokcom.link.arrival import Arrival
from tokcom.link.assembly import FrameAssembler
from tokcom.link.bit_packets import list_decoded
from tokcom.link.packets import MixedPackets
from tokcom.link.received import ReceivedPackets
from tokcom.link.recovery import FrameRecovery, LeftOver, RecoveredFrame
from tokcom.link.recovery_set import RecoverySet
from tokcom.link.stream_recovery import StreamRecovery
from tokcom.packets.bits import bits_per_token
from tokcom.packets.codebook import Codebook, by_id
from tokcom.packets.header import BurstHeader
from tokcom.packets.identity import PacketIdentity
from tokcom.packets.labels import TokenLabels
from tokcom.packets.seal import KeyHolder
from tokcom.phy.demodulator import BurstQuality, DemodulatedBurst, demodulate_burst, retrain
from tokcom.phy.found_burst import FoundBurst
from tokcom.phy.searcher import BurstSearcher

Result = TypeVar("Result")


@dataclass(frozen=True)
class Reception:
    """Reception of a burst.

    Attributes:
        header: header of the burst.
        frame: the frame with LOST where a packet failed; a BitFrame if the burst carries bits.
        packets_ok: bool (n_packets,), whether each packet's CRC held.
        profile: profile of the burst's preamble; empty if packets came without a burst.
        quality: measurements on the burst; None if packets came without one.
        position: index of the burst's first sample in the stream.
        recovered: the frame with its losses filled in; None without a recovery for it.
    """

    header: BurstHeader
    frame: Payload
    packets_ok: np.ndarray
    profile: str = ""
    quality: BurstQuality | None = None
    position: int = 0
    recovered: RecoveredFrame | None = None


class Receiver:
    """Receiver: converts a stream of samples to frames.

    Args:
        codebooks: those that it knows, and what bits may be. Frames of others come out, too, under a name that tells
            their id.
        recovery: makes frames whole, of one codebook or of several; None: losses stay LOST.
        profiles: names of the profiles to seek; empty for all.
        keys: a `security.keyring.Keyring`, which says what is believed; None: all that no key protects, and no more.
        assembler: puts packets of a frame that come in several bursts together, and adds what the channel says of those
            that were sent again; None: each burst is a frame.

    Attributes:
        unusable: bursts whose header could be used, but not what followed.
        strangers: frames of codebooks that are not known, by the name that stands for them.
        locked: bursts that are encrypted with keys that are not here, by the key's id; nothing of them is shown.
        rejected: bursts that are not believed, by `RejectedError.kind`; nothing of them is shown.
        last_error: what was wrong with the last of any, or why the last frame without recovery has none.
    """

    RETRAININGS = 3
    """Largest number of times that a burst is demodulated again with decoded packets as training."""

    def __init__(
        self, codebooks: Sequence[Codebook] = (), recovery: FrameRecovery | RecoverySet | None = None,
        profiles: Sequence[str] = (), keys: KeyHolder | None = None, assembler: FrameAssembler | None = None,
    ):  # fmt: skip
        self.assembler = assembler
        self._codebooks = by_id(codebooks)
        self.recovery = recovery
        self._streams = None if recovery is None else StreamRecovery(recovery)
        self.searcher = BurstSearcher(profiles)
        self.unusable, self.last_error = 0, ""
        self.strangers: Counter[str] = Counter()
        self.locked: Counter[int] = Counter()
        self.rejected: Counter[str] = Counter()
        self._keys = keys

    def search(self, samples: np.ndarray) -> list[FoundBurst]:
        """Process the next samples of the stream, complex (n,), and return the bursts that end within them."""
        return self.searcher.push(samples)

    def demodulate(self, found: FoundBurst) -> DemodulatedBurst:
        """Demodulate a burst: header, symbols and noise.

        If the payload does not agree with the header's channel, packets whose check holds serve as training for the
        rest, unless the burst is encrypted with an unknown key.
        """
        burst = demodulate_burst(found.samples, found.sync, found.header)
        header, decided = burst.header, 0
        if burst.plain:
            return burst
        try:
            identity = self.opened(header)
        except (LockedError, RejectedError):
            return burst
        coded = _coded(header, 1 << header.token_bits)
        for _ in range(self.RETRAININGS):
            llrs = coded.demap(burst.symbols, burst.noise_variance)
            packets, ok = coded.decode(llrs, identity)
            if ok.all() or ok.sum() <= decided:
                break
            decided = ok.sum()
            values = coded.map(coded.encode(packets, identity))
            burst = retrain(burst, values, np.repeat(ok, coded.symbols))
        return burst

    def opened(self, header: BurstHeader) -> PacketIdentity:
        """Return the identity of a burst's packets, with their key stream.

        Raises:
            LockedError: their key is not here.
            RejectedError: the burst is not believed.
        """
        return header.opened(self._keys)

    def admit(self, header: BurstHeader) -> None:
        """Take note of a burst, once, ahead of its packets: with a key, none is taken twice.

        Raises:
            LockedError: its key is not here.
            RejectedError: it is not believed, or came before.
        """
        self.opened(header)
        if header.seal is not None:
            self._keys.admit(header.seal, header.stream_id, header.frame_id)

    def demap(self, burst: DemodulatedBurst) -> np.ndarray:
        """float32 LLRs of all packets' coded bits, one packet after the other."""
        coded = _coded(burst.header, 1 << burst.header.token_bits)
        return coded.demap(burst.symbols, burst.noise_variance)

    def misfit(self, burst: DemodulatedBurst) -> np.ndarray:
        """float32 (n_packets, 2): what the LLRs leave out of how well code words can fit (`MixedPackets.misfit`)."""
        coded = _coded(burst.header, 1 << burst.header.token_bits)
        return coded.misfit(burst.symbols, burst.noise_variance)

    def decode(
        self, llrs: np.ndarray, header: BurstHeader, misfit: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Tokens (n_packets, tokens_per_packet), whatever the check says, and bool (n_packets,): the check holds, or
        packets of bits were list-decoded.

        Args:
            llrs: float32, of all packets.
            header: of the burst.
            misfit: as in `received`.

        Raises:
            FrameError: they are sent under labels of a codebook that has none such here.
            LockedError: they are encrypted, and the key is not here.
            RejectedError: the burst is not believed.
        """
        codebook, identity = self._codebook(header), self.opened(header)
        coded = _coded(header, codebook.size, self._labels(header))
        tokens, ok = coded.decode(llrs, identity)
        if header.sizes:
            # No transmitter sends words that a token's quantizer does not have.
            ok &= (tokens < token_limits(header.sizes, header.n_tokens)[header.positions()]).all(axis=1)
        if header.payload == BITS and not ok.all():
            rows, bits = list_decoded(self.received(llrs, header, misfit), np.flatnonzero(~ok))
            tokens[rows], ok[rows] = bits, True
        return tokens, ok

    def outline(self, header: BurstHeader) -> Payload:
        """Make the frame that a header announces, with all tokens LOST.

        Raises:
            FrameError: the header's tokens have another width than its codebook.
        """
        known, tokens = self._codebook(header), np.full(header.n_tokens, LOST, np.int32)
        if header.payload == BITS:
            return BitFrame(tokens, known.name, header.frame_id)
        return TokenFrame(
            tokens, known.name, known.size, header.grid, known.modality, header.cmi, header.frame_id, header.quantizers,
            header.sizes, header.follows, header.description, header.thinning, header.companion,
        )  # fmt: skip

    def _codebook(self, header: BurstHeader) -> Codebook:
        """Return the codebook that a header names, or a substitute for an unknown one."""
        known = self._codebooks.get(header.codebook_id)
        name = f"unknown-{header.codebook_id:08x}" if known is None else known.name
        if header.payload == BITS:
            return Codebook(name, 2, BITS)
        if known is None:
            return Codebook(name, max(header.sizes, default=1 << header.token_bits), "unknown")
        if bits_per_token(known.size) != header.token_bits:
            raise FrameError(
                f"frame {header.frame_id} has tokens of {header.token_bits} bits, its codebook {known.name} of "
                f"{bits_per_token(known.size)}: transmitter and receiver hold different models with the same id"
            )
        return known

    def _labels(self, header: BurstHeader) -> TokenLabels | None:
        """Look up the labels of a burst's tokens; None for natural ones. With an unknown codebook, tokens are the
        numbers sent on the air."""
        known = self._codebooks.get(header.codebook_id)
        return None if known is None else known.labels_of(header.labels, header.frame_id)

    def stranger(self, header: BurstHeader) -> str | None:
        """Make a message about a burst with an unknown codebook; None if it is known. Its tokens are passed on, but
        their meaning is unknown."""
        if header.codebook_id in self._codebooks:
            return None
        known = ", ".join(f"{each.name} (0x{each.id:08x})" for each in self._codebooks.values()) or "none"
        frame, own = f"frame {header.frame_id} of stream {header.stream_id}", f"0x{header.codebook_id:08x}"
        if header.payload == BITS:
            return f"{frame} has bits of content {own}; known are {known}"
        return (
            f"{frame} has codebook {own}; known are {known}: the transmitter has another model, or other weights "
            "or labels under its name"
        )

    def received(self, llrs: np.ndarray, header: BurstHeader, misfit: np.ndarray | None = None) -> ReceivedPackets:
        """Evidence of a burst about its packets, for recovery.

        Args:
            llrs: float32, of all packets.
            header: of the burst.
            misfit: as from `misfit`; None: the LLRs are believed as they are.

        Raises:
            FrameError: they are sent under labels of a codebook that has none such here.
            LockedError: they are encrypted, and the key is not here.
        """
        size, labels = self._codebook(header).size, self._labels(header)
        return ReceivedPackets.of_burst(header, size, llrs, labels, misfit, self.opened(header))

    def assemble(
        self, packets: np.ndarray, packets_ok: np.ndarray, header: BurstHeader, received: ReceivedPackets | None = None
    ) -> Arrival:
        """The packets of a burst, and with them its frame, LOST where a packet failed."""
        rows, outline, seal = np.arange(header.n_packets), self.outline(header), header.seal
        # What no key protects must not be put together with what one does.
        source = None if seal is None else (seal.key_id, seal.direction)
        return Arrival(header.stream_id, outline, header.positions(), rows, packets, packets_ok, received, source)

    def receive(self, samples: np.ndarray) -> list[Reception]:
        """Process the next samples of the stream and return the frames of bursts that end within them."""
        return self._of_each(samples, self.finish)

    def arrivals(self, samples: np.ndarray) -> list[Arrival]:
        """The packets of bursts that end within the next samples of the stream, without recovery."""
        return self._of_each(samples, self.arrive)

    def _of_each(self, samples: np.ndarray, work: Callable[[FoundBurst], Result]) -> list[Result]:
        results = []
        for found in self.search(samples):
            try:
                results.append(work(found))
            except LockedError as error:
                self.locked[error.key_id] += 1
                self.last_error = str(error)
            except RejectedError as error:
                self.rejected[error.kind] += 1
                self.last_error = str(error)
            except TokcomError as error:
                self.unusable += 1
                self.last_error = str(error)
        return results

    def arrive(self, found: FoundBurst) -> Arrival:
        """The packets of a burst; raises as `finish` does."""
        return self._arrive(self.demodulate(found), True)

    def _arrive(self, burst: DemodulatedBurst, soft: bool) -> Arrival:
        """Its packets; `soft`: with what the channel says of them."""
        self.admit(burst.header)
        llrs, header = self.demap(burst), burst.header
        misfit = self.misfit(burst) if soft or header.payload == BITS else None
        packets, ok = self.decode(llrs, header, misfit)
        received = self.received(llrs, header, misfit) if soft else None
        arrival = self.assemble(packets, ok, header, received)
        if (said := self.stranger(header)) is not None:
            self.strangers[arrival.outline.codebook] += 1
            self.last_error = said
        return arrival

    def finish(self, found: FoundBurst) -> Reception:
        """Receive a burst found by the search, and return its frame.

        Raises:
            LockedError: the burst is encrypted, and the key is not here.
            RejectedError: the burst is not believed.
            TokcomError: what follows the header cannot be used.
        """
        burst = self.demodulate(found)
        recovers = self._streams is not None and burst.header.payload == TOKENS
        arrival = self._arrive(burst, recovers or self.assembler is not None)
        whole = arrival if self.assembler is None else self.assembler.add(arrival)
        frame, recovered = whole.frame, None
        if recovers:
            try:
                recovered = self._streams.recover(whole.key[:2], LeftOver(frame, whole.received))
            except ModelError as error:
                self.last_error = str(error)
        return Reception(
            burst.header, frame, whole.packets_ok.copy(), burst.profile.name, burst.quality, found.position, recovered
        )


def _coded(header: BurstHeader, codebook_size: int, labels: TokenLabels | None = None) -> MixedPackets:
    """The code of the packets that a header announces."""
    return MixedPackets.of(codebook_size, header.tokens_per_packet, header.mcs, labels, header.tag_bits)
