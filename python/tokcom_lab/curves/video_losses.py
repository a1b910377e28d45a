"""Packets lost from groups of frames: what a share of them costs, and how long one lost frame is seen."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tokcom.adaptation.cqi import predicted_per
from tokcom.frame import TokenFrame
from tokcom.link.adaptation import AdaptationConfig, LinkAdapter
from tokcom.link.known_noise import PlainLink, SymbolLink
from tokcom.link.packet_link import LinkConfig
from tokcom.link.receiver import Receiver
from tokcom.link.recovery import FrameRecovery, LeftOver
from tokcom.link.stream_recovery import StreamRecovery
from tokcom.link.transmitter import TransmitConfig, Transmitter
from tokcom.mcs import find_mcs
from tokcom.metrics.pictures import psnr_db
from tokcom.models.codebooks import codebook
from tokcom.models.fits import load_residual
from tokcom.models.recovery import load_recovery
from tokcom.packets.bits import bits_per_token
from tokcom.packets.codebook import Codebook
from tokcom.packets.layout import FRAMES
from tokcom.packets.mcs_map import MCS_NOT_SENT
from tokcom.phy.numerology import CARRIERS
from tokcom.tokenizers.groups import frames_of
from tokcom.tokenizers.picture_tokenizer import PictureTokenizer
from tokcom_lab.curves.video_curve import ALONE, FOLLOWING, MCS, REPEATED, Clip, pictures_of
from tokcom_lab.curves.video_groups import Sending, grouped

NONE, INDEPENDENT, BURSTS, NOISE = "none", "independent", "bursts", "noise"
"""Patterns of losses. Of packets that are lost independently or in bursts nothing is received; in noise, that share of
packets fails its CRC."""
BURST = 16.0
"""Mean length of a burst of losses, in packets."""
WHOLE_DB = 40.0
"""Es/N0 at which no packet fails."""
GROUP_PASSES, ALONE_PASSES = 10, 4
"""Times that `LossComparison` recovers each frame."""
LOST_FRAME = 1
"""Frame of a clip that is lost as a whole to see how long."""


@dataclass(frozen=True)
class SentGroup:
    """A group as its transmitter sends it: with the seed of its layout, and the MCS of each packet, uint8
    (n_packets,)."""

    frame: TokenFrame
    layout_seed: int
    mcs: np.ndarray


@dataclass(frozen=True)
class VideoSender:
    """Settings of a transmitter of groups.

    Attributes:
        group: frames per burst, at most.
        config: tokens per packet, and the MCS without an adapter.
        adapter: chooses each packet's MCS, or not to send it; None: all are sent alike.
        esn0_db: Es/N0 that the adapter knows.
    """

    group: int
    config: TransmitConfig
    adapter: LinkAdapter | None = None
    esn0_db: float = WHOLE_DB

    def sent(self, clip: Clip) -> list[SentGroup]:
        """Choose how a clip's frames, all but the first, are sent, in order."""
        chosen, carriers, transmitter = [], np.full(len(CARRIERS), self.esn0_db), Transmitter(self.config)
        if self.adapter is not None:
            self.adapter.choose(clip.frames[0], 0, carriers)
        for frame, told in grouped(clip, self.group):
            if self.adapter is None:
                count = len(transmitter.positions(frame))
                chosen.append(SentGroup(frame, frame.frame_id, transmitter.choose_mcs(count)))
                continue
            choice = self.adapter.choose(frame, frame.frame_id, carriers, condition=told)
            chosen.append(SentGroup(frame, choice.layout_seed, choice.mcs))
        return chosen


class VideoReceiver:
    """Receiver in mode "context" of groups of which packets are lost.

    Args:
        recovery: of the frames; None: lost tokens are those of the frame before.
        book: codebook of the tokens.
        config: of their transmitter.
    """

    def __init__(self, recovery: FrameRecovery | None, book: Codebook, config: TransmitConfig):
        self.recovery, self.config, size = recovery, config, book.size
        self._erasing = PlainLink(LinkConfig(tokens_per_packet=config.tokens_per_packet), size, layout=FRAMES)
        self._noisy = SymbolLink(Transmitter(config, [book]), Receiver([book]), tested=True)

    def receive(
        self, first: TokenFrame, sent: Sequence[SentGroup], lost: Sequence[np.ndarray], esn0_db: float = WHOLE_DB,
        seed: int = 0,
    ) -> list[TokenFrame]:  # fmt: skip
        """Recover a clip's frames, each in view of those before as they were recovered.

        Args:
            first: the frame before, which is known.
            sent: the groups after it.
            lost: bool (n_packets,) of each group, packets of which nothing is received.
            esn0_db: Es/N0 of the others.
            seed: of the noise.
        """
        streams = None if self.recovery is None else StreamRecovery(self.recovery)
        if streams is not None:
            streams.memory.keep(0, first)
        found = [first]
        for group, gone in zip(sent, lost, strict=True):
            rng = np.random.default_rng([seed, group.frame.frame_id])
            link = self._erasing if esn0_db == WHOLE_DB else self._noisy
            mcs = np.where(gone, MCS_NOT_SENT, group.mcs).astype(np.uint8)
            (came,) = link.receive(link.transmit(group.frame, group.layout_seed, mcs).in_noise(esn0_db, rng))
            if streams is not None:
                found += frames_of(streams.recover(0, LeftOver(came.frame, came.received)).frame)
                continue
            for frame in frames_of(came.frame):
                found.append(frame.with_tokens(np.where(frame.lost, found[-1].tokens, frame.tokens)))
        return found


@dataclass(frozen=True)
class GroupLosses:
    """PSNR in dB with packets lost.

    Attributes:
        scheme: what is sent, and what fills in lost tokens.
        group: frames per burst, at most.
        tokens_per_packet: tokens per packet.
        pattern: of the losses.
        lost: share of the packets sent that is lost.
        sent: share of packets that is sent.
        psnr_db: mean over frames, to the original.
        psnr_clean_db: of the same frames where nothing is lost that is sent.
        worst_frame_db: dB by which the frame that suffers most is below that.
        ter: share of wrong tokens.
        frames: number of frames.
    """

    scheme: str
    group: int
    tokens_per_packet: int
    pattern: str
    lost: float
    sent: float
    psnr_db: float
    psnr_clean_db: float
    worst_frame_db: float
    ter: float
    frames: int


@dataclass(frozen=True)
class Propagation:
    """dB that a frame which is lost as a whole takes from itself and from those after it.

    Attributes:
        scheme: as in `GroupLosses`.
        lost: share of the other packets that is lost, independently.
        frame: frames after the lost one; 0 is itself.
        psnr_lost_db: mean over clips of the dB by which the frame is below that without this loss.
        worst_db: the largest of these.
    """

    scheme: str
    lost: float
    frame: int
    psnr_lost_db: float
    worst_db: float


class LossBench:
    """Measurement of losses from clips that are sent in one way.

    Args:
        scheme: name of what is sent, and of what fills in lost tokens.
        clips: with their tokens.
        sent: of each clip, its groups as they are sent.
        receiver: the other end.
        tokenizer: shows the frames.
        lost: share of packets lost.
        seed: of the losses.
        done: called with the number of frames recovered since the last call.
    """

    def __init__(
        self, scheme: str, clips: Sequence[Clip], sent: Sequence[Sequence[SentGroup]], receiver: VideoReceiver,
        tokenizer: PictureTokenizer, lost: float, seed: int = 0, done: Callable[[int], None] = lambda _: None,
    ):  # fmt: skip
        self.scheme, self.clips, self._sent, self.receiver = scheme, clips, sent, receiver
        self.tokenizer, self.lost, self.seed, self.done = tokenizer, lost, seed, done
        self._found: dict[tuple, list[tuple[np.ndarray, float]]] = {}

    def losses(self, patterns: Sequence[str]) -> Iterator[GroupLosses]:
        """Lose a share of the packets of all frames but the first in each of the patterns."""
        groups = [group for each in self._sent for group in each]
        longest = max(len(frames_of(group.frame)) for group in groups)
        sent = float(np.mean(np.concatenate([group.mcs for group in groups]) != MCS_NOT_SENT))
        clean = np.concatenate([quality[1:] for quality, _ in self._qualities(NONE)])
        for pattern in patterns:
            rows = self._qualities(pattern)
            quality, ter = np.concatenate([each[0][1:] for each in rows]), float(np.mean([each[1] for each in rows]))
            yield GroupLosses(
                self.scheme, longest, self.receiver.config.tokens_per_packet, pattern, self.lost, sent,
                float(quality.mean()), float(clean.mean()), float((clean - quality).max()), ter, len(quality),
            )  # fmt: skip

    def propagation(self, pattern: str) -> Iterator[Propagation]:
        """Lose one frame as a whole, and of the others what the pattern loses."""
        pairs = zip(self._qualities(pattern), self._qualities(pattern, LOST_FRAME), strict=True)
        missing = [(usual[0] - hit[0])[LOST_FRAME:] for usual, hit in pairs]
        share = 0.0 if pattern == NONE else self.lost
        for number in range(max(map(len, missing))):
            rows = [each[number] for each in missing if number < len(each)]
            yield Propagation(self.scheme, share, number, float(np.mean(rows)), float(np.max(rows)))

    def _qualities(self, pattern: str, event: int | None = None) -> list[tuple[np.ndarray, float]]:
        """Per clip the PSNR of each frame, float (n,), and the share of wrong tokens, where the frame `event` is lost
        besides."""
        key = pattern, event
        if key not in self._found:
            self._found[key] = [self._quality(number, pattern, event) for number in range(len(self.clips))]
        return self._found[key]

    def _quality(self, number: int, pattern: str, event: int | None) -> tuple[np.ndarray, float]:
        clip, sent = self.clips[number], self._sent[number]
        rng = np.random.default_rng([self.seed, number])
        lost = [losses(pattern, len(each.mcs), self.lost, rng) for each in sent]
        if event is not None:
            lost = [gone | self._of_frame(each, event) for each, gone in zip(sent, lost, strict=True)]
        esn0_db = WHOLE_DB
        if pattern == NOISE:
            esn0_db = esn0_db_of(self.receiver.config, bits_per_token(clip.frames[0].codebook_size), self.lost)
        found = self.receiver.receive(clip.frames[0], sent, lost, esn0_db, self.seed)
        self.done(len(found))
        shown = [psnr_db(*each) for each in zip(clip.pictures, pictures_of(found, self.tokenizer), strict=True)]
        wrong = [each.tokens != frame.tokens for each, frame in zip(found[1:], clip.frames[1:], strict=True)]
        return np.array(shown), float(np.mean(wrong))

    def _of_frame(self, group: SentGroup, number: int) -> np.ndarray:
        """Find the packets of a group that are of the frame of a number, bool (n_packets,)."""
        positions = Transmitter(self.receiver.config).positions(group.frame, group.layout_seed)
        size = len(group.frame.tokens) // len(frames_of(group.frame))
        return positions.max(axis=1) // size == number - group.frame.frame_id


class LossComparison:
    """Losses from groups that the policy "semantic" sends, and from frames by themselves; the first frame of each clip
    is known.

    Args:
        model: name or folder of the model.
        tokenizer: shows the frames.
        lost: share of packets lost.
        seed: of the losses.
        device: where networks run.
        done: called with the number of frames recovered since the last call.
    """

    def __init__(
        self, model: str, tokenizer: PictureTokenizer, lost: float, seed: int = 0, device: str = "auto",
        done: Callable[[int], None] = lambda _: None,
    ):  # fmt: skip
        self.recovery, self.book = load_recovery(model, "context", device), codebook(model)
        self.residual, self._common = load_residual(model), (tokenizer, lost, seed, done)

    def groups(self, clips: Sequence[Clip], sending: Sending) -> Iterator[GroupLosses | Propagation]:
        """Measure groups of frames that follow each other; `done` is called GROUP_PASSES times per frame."""
        config = TransmitConfig(MCS, tokens_per_packet=sending.tokens_per_packet)
        policy = AdaptationConfig("semantic", bound=sending.bound)
        adapter = LinkAdapter(policy, config, self.recovery.prior, self.residual)
        chosen = [VideoSender(sending.group, config, adapter, sending.esn0_db).sent(clip) for clip in clips]
        context, repeated = (VideoReceiver(each, self.book, config) for each in (self.recovery, None))
        bench = LossBench(FOLLOWING, clips, chosen, context, *self._common)
        yield from bench.losses((INDEPENDENT, BURSTS))
        for pattern in (NONE, INDEPENDENT):
            yield from bench.propagation(pattern)
        yield from LossBench(REPEATED, clips, chosen, repeated, *self._common).losses((INDEPENDENT, BURSTS))
        even = [VideoSender(sending.group, config).sent(clip) for clip in clips]
        yield from LossBench(f"{FOLLOWING}, {MCS}", clips, even, context, *self._common).losses((NOISE,))

    def alone(self, clips: Sequence[Clip]) -> Iterator[GroupLosses]:
        """Measure frames by themselves; `done` is called ALONE_PASSES times per frame."""
        config = TransmitConfig(MCS)
        sent, context = (
            [VideoSender(1, config).sent(clip) for clip in clips],
            VideoReceiver(self.recovery, self.book, config),
        )
        bench = LossBench(f"{ALONE}, {MCS}", clips, sent, context, *self._common)
        yield from bench.losses((INDEPENDENT, BURSTS, NOISE))


def losses(pattern: str, count: int, share: float, rng: np.random.Generator) -> np.ndarray:
    """Draw which of `count` packets in order of sending are lost, bool (count,).

    In bursts, a chain of two states (Gilbert, 1960) loses BURST packets in a row in the mean, and begins in its
    stationary state.
    """
    if pattern == INDEPENDENT:
        return rng.random(count) < share
    lost = np.zeros(count, bool)
    if pattern == BURSTS and share > 0:
        leave = 1 / BURST
        enter = min(1.0, leave * share / max(1 - share, 1e-9))
        state = rng.random() < share
        for number, draw in enumerate(rng.random(count)):
            lost[number] = state
            state = draw >= leave if state else draw < enter
    return lost


def esn0_db_of(config: TransmitConfig, token_bits: int, per: float) -> float:
    """Find the Es/N0 in dB at which a share of packets is expected to fail its CRC in white Gaussian noise."""
    levels = np.arange(-10, 30, 0.01)
    rates = predicted_per(find_mcs(config.mcs), levels, config.tokens_per_packet * token_bits)
    return float(levels[np.abs(rates - per).argmin()])
