"""Videos over the air: each frame by itself, or in view of the one before, and picture codecs for moving pictures."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tokcom.adaptation.predictability import token_bits
from tokcom.adaptation.residual import ResidualModel
from tokcom.context.condition import Condition
from tokcom.context.prior import Prior
from tokcom.frame import LOST, TokenFrame
from tokcom.link.adaptation import AdaptationConfig, LinkAdapter
from tokcom.link.known_noise import SymbolLink
from tokcom.link.receiver import Receiver
from tokcom.link.recovery import LeftOver
from tokcom.link.steady_view import SteadyView
from tokcom.link.stream_recovery import StreamRecovery
from tokcom.link.transmitter import TransmitConfig, Transmitter
from tokcom.metrics.pictures import psnr_db
from tokcom.metrics.tokens import wrong_by_packet
from tokcom.models.codebooks import codebook
from tokcom.models.recovery import load_recovery
from tokcom.packets.layout import packet_positions
from tokcom.phy.numerology import CARRIERS
from tokcom.tokenizers.picture_tokenizer import PictureTokenizer
from tokcom.tokenizers.rate_distortion import RateDistortionSearch
from tokcom.tokenizers.video import VideoTokenizer
from tokcom.tokenizers.vq import VQTokenizer

ALONE, FOLLOWING, REPEATED = "frame by frame", "following", "repeat the frame before"
"""Schemes: every frame by itself; in view of the one before; lost tokens are those of the frame before."""
STILL = 2.0
"""Change from frame to frame, in grey levels, below which a pixel of the original is still."""
MCS = "16qam-1/2"
SAMPLE_RATE = 1e6


@dataclass(frozen=True)
class Clip:
    """Video with its tokens.

    Attributes:
        name: of the video.
        pictures: uint8 (n, size, size, 3).
        frames: its frames; those of scheme FOLLOWING follow each other.
    """

    name: str
    pictures: np.ndarray
    frames: tuple[TokenFrame, ...]

    @property
    def conditions(self) -> list[Condition]:
        """Side information on each frame, for a receiver that lost nothing."""
        before = [None, *self.frames[:-1]]
        return [
            Condition(before=last if frame.follows else None) for frame, last in zip(self.frames, before, strict=True)
        ]


Tokenize = Callable[[np.ndarray, TokenFrame | None, int], TokenFrame]
"""Function that makes a frame of a picture, the frame before and a number."""


def tokenized(
    name: str, pictures: np.ndarray, tokenize: Tokenize,
    done: Callable[[int], None] = lambda _: None,
) -> Clip:  # fmt: skip
    """Tokenize a video.

    Args:
        name: of the video.
        pictures: uint8 (n, size, size, 3).
        tokenize: makes a frame of a picture, the frame before and a number.
        done: called with the number of frames done since the last call.
    """
    frames: list[TokenFrame] = []
    for number, picture in enumerate(pictures):
        frames.append(tokenize(picture, frames[-1] if frames else None, number))
        done(1)
    return Clip(name, pictures, tuple(frames))


def weighed(tokenizer: VQTokenizer, weight: float) -> VQTokenizer:
    """Make the same tokenizer with a bit in its search weighing `weight` times as much."""
    own = tokenizer.search
    if weight == 1 or own is None:
        return tokenizer
    search = RateDistortionSearch(own.network, own.prior, weight * own.rate)
    return VQTokenizer(tokenizer.network, tokenizer.codebook, search, tokenizer.visits)


def alone_way(tokenizer: PictureTokenizer) -> Tokenize:
    """Make the function for `tokenized` that has every frame stand alone."""
    return lambda picture, before, number: tokenizer.tokenize(picture, frame_id=number)


def following_way(tokenizer: VideoTokenizer) -> Tokenize:
    """Make the function for `tokenized` that sees the picture and the frame before."""
    last: dict[int, np.ndarray] = {}

    def tokenize(picture: np.ndarray, before: TokenFrame | None, number: int) -> TokenFrame:
        earlier = last.get(number - 1)
        last.clear()
        last[number] = picture
        return tokenizer.tokenize(picture, before, frame_id=number, picture_before=None if before is None else earlier)

    return tokenize


def pictures_of(frames: Sequence[TokenFrame], tokenizer: PictureTokenizer) -> list[np.ndarray]:
    """Decode the frames of a video in order, each uint8 (size, size, 3), as a receiver shows them."""
    view = SteadyView()
    return [view.show(frame, tokenizer.detokenize(frame)) for frame in frames]


@dataclass(frozen=True)
class VideoQuality:
    """Figures of a scheme without losses.

    Attributes:
        scheme: ALONE or FOLLOWING.
        bits_per_token: mean surprise of a token to the receiver, given most of the others and the frame before.
        changed: share of tokens that differ from those of the frame before.
        psnr_db: mean over frames.
        flicker: mean change of a decoded pixel, in grey levels, where the original is still.
        airtime_ms: mean airtime per frame under the policy "semantic".
        esn0_db: Es/N0 for it.
    """

    scheme: str
    bits_per_token: float
    changed: float
    psnr_db: float
    flicker: float
    airtime_ms: float
    esn0_db: float


def quality(
    scheme: str, clips: Sequence[Clip], tokenizer: PictureTokenizer, prior: Prior, residual: ResidualModel,
    esn0_db: float, bound: float, done: Callable[[int], None] = lambda _: None,
) -> VideoQuality:  # fmt: skip
    """Measure a scheme without losses; the first frame of each clip does not count."""
    adapter = LinkAdapter(AdaptationConfig("semantic", bound=bound), None, prior, residual)
    carriers, rows = np.full(len(CARRIERS), esn0_db), []
    for clip in clips:
        decoded = np.stack(pictures_of(clip.frames, tokenizer))
        moved = np.abs(np.diff(clip.pictures.astype(int), axis=0)).max(-1)
        seen = np.abs(np.diff(decoded.astype(int), axis=0)).mean(-1)
        for number, (frame, condition) in enumerate(zip(clip.frames, clip.conditions, strict=True)):
            done(1)
            if not number:
                continue
            bits = token_bits(prior, frame, condition=condition)
            choice = adapter.choose(frame, frame.frame_id, carriers, bits=bits)
            still = moved[number - 1] <= STILL
            rows.append(
                (
                    bits.mean(), np.mean(frame.tokens != clip.frames[number - 1].tokens),
                    psnr_db(clip.pictures[number], decoded[number]),
                    seen[number - 1][still].mean() if still.any() else np.nan,
                    1000 * choice.airtime / SAMPLE_RATE,
                )
            )  # fmt: skip
    return VideoQuality(scheme, *(float(np.nanmean(column)) for column in zip(*rows, strict=True)), esn0_db)


@dataclass(frozen=True)
class VideoPoint:
    """Figures of a scheme at one Es/N0, 16-QAM 1/2, mode "context": shares of packets that were not accepted or are
    wrong, of wrong tokens, and of packets accepted although wrong; PSNR to the original."""

    scheme: str
    esn0_db: float
    per: float
    ter: float
    undetected: float
    psnr_db: float
    frames: int


def curve(
    scheme: str, clips: Sequence[Clip], model: str, tokenizer: PictureTokenizer, esn0_db: Sequence[float],
    seed: int = 0, device: str = "auto", done: Callable[[int], None] = lambda _: None,
) -> Iterator[VideoPoint]:  # fmt: skip
    """Send the clips through white Gaussian noise; the receiver predicts each frame from the one that it recovered."""
    books = [codebook(model)]
    link = SymbolLink(Transmitter(TransmitConfig(MCS), books), Receiver(books), tested=True)
    recovery = load_recovery(model, "context", device)
    for value in esn0_db:
        rows = []
        for number, clip in enumerate(clips):
            streams, view = StreamRecovery(recovery), SteadyView()
            for frame, picture in zip(clip.frames, clip.pictures, strict=True):
                rng = np.random.default_rng([seed, number, frame.frame_id, round(value * 1000) & 0xFFFFFFFF])
                (came,) = link.receive(link.transmit(frame, frame.frame_id).in_noise(value, rng))
                found = streams.recover(0, LeftOver(came.frame, came.received))
                shown = view.show(found.frame, tokenizer.detokenize(found.frame))
                done(1)
                if not frame.frame_id:
                    continue  # it has none before it
                wrong = wrong_by_packet(frame.tokens, found.frame.tokens, came.positions)
                bad, ok = wrong.any(axis=1), found.packets_ok
                rows.append((np.mean(~ok | bad), wrong.mean(), np.mean(ok & bad), psnr_db(picture, shown)))
        yield VideoPoint(scheme, value, *(float(np.mean(column)) for column in zip(*rows, strict=True)), len(rows))


@dataclass(frozen=True)
class LossPoint:
    """PSNR in dB with packets lost: by frame, relative to the same frames without losses, 0 where nothing is lost.

    Attributes:
        scheme: as in `VideoQuality`, or REPEATED.
        lost: share of packets lost.
        psnr_db: mean over frames, to the original.
        below_db: how much that is below the PSNR without losses.
        ter: share of wrong tokens.
    """

    scheme: str
    lost: float
    psnr_db: float
    below_db: float
    ter: float


def losses(
    scheme: str, clips: Sequence[Clip], model: str, tokenizer: PictureTokenizer, lost: float,
    seed: int = 0, device: str = "auto", done: Callable[[int], None] = lambda _: None,
) -> LossPoint:  # fmt: skip
    """Lose a share of each frame's packets but the first frame's, and fill them in, from the frame before as it was
    filled in: by the prior, or, for REPEATED, by its tokens."""
    recovery = load_recovery(model, "context", device)
    rows = []
    for number, clip in enumerate(clips):
        streams, last, found = StreamRecovery(recovery), None, []
        for frame in clip.frames:
            share = 0.0 if last is None else lost
            damaged = _with_losses(frame, share, np.random.default_rng([seed, number, frame.frame_id]))
            if scheme == REPEATED:
                last = frame if last is None else frame.with_tokens(np.where(damaged.lost, last.tokens, frame.tokens))
            else:
                last = streams.recover(0, LeftOver(damaged)).frame
            found.append(last)
            done(1)
        whole, shown = (_qualities(clip, frames, tokenizer) for frames in (clip.frames, found))
        wrong = [np.mean(each.tokens != frame.tokens) for each, frame in zip(found, clip.frames, strict=True)]
        rows += zip(shown[1:], _below(whole, shown)[1:], wrong[1:], strict=True)
    return LossPoint(scheme, lost, *(float(np.mean(column)) for column in zip(*rows, strict=True)))


def spread_of_damage(clip: Clip, model: str, tokenizer: PictureTokenizer, device: str = "auto") -> list[float]:
    """Lose all packets of a clip's second frame and a fifth of those after it, then none from the tenth on; return by
    frame how many dB are missing."""
    recovery, found = StreamRecovery(load_recovery(model, "context", device)), []
    for frame in clip.frames:
        share = 1.0 if frame.frame_id == 1 else 0.2 if 1 < frame.frame_id < 9 else 0.0
        damaged = _with_losses(frame, share, np.random.default_rng(frame.frame_id))
        found.append(recovery.recover(0, LeftOver(damaged)).frame)
    whole, shown = (_qualities(clip, frames, tokenizer) for frames in (clip.frames, found))
    return _below(whole, shown).tolist()


def _qualities(clip: Clip, frames: Sequence[TokenFrame], tokenizer: PictureTokenizer) -> np.ndarray:
    """PSNR in dB of each frame of a clip as it is shown, float (n,)."""
    return np.array([psnr_db(*each) for each in zip(clip.pictures, pictures_of(frames, tokenizer), strict=True)])


def _below(whole: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """Find how many dB are missing, 0 where both are infinite."""
    return np.subtract(whole, shown, out=np.zeros_like(whole), where=whole != shown)


def _with_losses(frame: TokenFrame, share: float, rng: np.random.Generator) -> TokenFrame:
    """Lose a share of a frame's packets of four tokens."""
    positions = packet_positions(frame.grid, 4, "spread", frame.frame_id)
    tokens = np.array(frame.tokens)
    tokens[positions[rng.random(len(positions)) < share].ravel()] = LOST
    return frame.with_tokens(tokens)


def alone(clips: Sequence[Clip]) -> list[Clip]:
    """The same tokens, for a receiver that is not told that frames follow each other."""
    return [replace(clip, frames=tuple(replace(frame, follows=0) for frame in clip.frames)) for clip in clips]
