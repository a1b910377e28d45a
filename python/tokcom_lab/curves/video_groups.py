"""Frames of videos that are sent in groups: their airtime, what arrives, and groups to fit expectations to."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path

import numpy as np

from tokcom.context.condition import Condition
from tokcom.errors import ParameterError
from tokcom.frame import TokenFrame
from tokcom.link.adaptation import AdaptationConfig, LinkAdapter
from tokcom.link.known_noise import SymbolLink
from tokcom.link.receiver import Receiver
from tokcom.link.recovery import LeftOver
from tokcom.link.steady_view import SteadyView
from tokcom.link.stream_recovery import StreamRecovery
from tokcom.link.transmitter import TransmitConfig, Transmitter
from tokcom.metrics.pictures import psnr_db
from tokcom.models.codebooks import codebook
from tokcom.models.fits import load_residual
from tokcom.models.recovery import load_recovery
from tokcom.models.zoo import load_video_tokenizer
from tokcom.phy.numerology import CARRIERS
from tokcom.tokenizers.groups import frames_of, joined
from tokcom.tokenizers.picture_tokenizer import PictureTokenizer
from tokcom_lab.curves.video_curve import SAMPLE_RATE, Clip, following_way, pictures_of, tokenized
from tokcom_lab.training.dataset import load_dataset
from tokcom_lab.training.motion import videos

VISITS = 4
"""Search passes per frame to which expectations are fitted."""


@dataclass(frozen=True)
class Sending:
    """Settings of a link for videos: frames per burst, tokens per packet, Es/N0, and the expected share of wrong tokens
    within which the policy "semantic" stays."""

    group: int
    tokens_per_packet: int
    esn0_db: float
    bound: float


@dataclass(frozen=True)
class VideoAirtime:
    """Airtime of a scheme under the policy "semantic", and what arrives.

    Attributes:
        scheme: as in `video_curve.VideoQuality`.
        weight: of a bit in the search for tokens, relative to the model's own.
        group: frames per burst.
        tokens_per_packet: tokens per packet.
        airtime_ms: mean airtime per frame.
        expected_ter: mean share of wrong tokens that the transmitter expected.
        esn0_db: Es/N0.
        whole_psnr_db: mean PSNR to the original if all tokens are right.
        received: number of frames that were sent and recovered; the figures below are theirs.
        received_airtime_ms, received_expected_ter: as above.
        ter: mean share of wrong tokens.
        psnr_db: mean PSNR to the original.
    """

    scheme: str
    weight: float
    group: int
    tokens_per_packet: int
    airtime_ms: float
    expected_ter: float
    esn0_db: float
    whole_psnr_db: float
    received: int
    received_airtime_ms: float | None
    received_expected_ter: float | None
    ter: float | None
    psnr_db: float | None


def airtime(
    scheme: str, clips: Sequence[Clip], model: str, tokenizer: PictureTokenizer, sending: Sending, received: int,
    weight: float = 1.0, seed: int = 0, device: str = "auto", done: Callable[[int], None] = lambda _: None,
) -> VideoAirtime:  # fmt: skip
    """Choose by the policy "semantic" how clips are sent in groups, the first frame of each clip being known; send the
    first `received` clips through white Gaussian noise, each group predicted from what was recovered before."""
    recovery, config = (
        load_recovery(model, "context", device),
        TransmitConfig(tokens_per_packet=sending.tokens_per_packet),
    )
    adapter = LinkAdapter(
        AdaptationConfig("semantic", bound=sending.bound), config, recovery.prior, load_residual(model)
    )
    link = SymbolLink(Transmitter(config), Receiver([codebook(model)]), tested=True)
    carriers, chosen, rows = np.full(len(CARRIERS), sending.esn0_db), [], []
    for number, clip in enumerate(clips):
        streams, view = StreamRecovery(recovery), SteadyView()
        streams.memory.keep(0, clip.frames[0])
        whole = pictures_of(clip.frames, tokenizer)
        view.show(clip.frames[0], whole[0])
        done(1)
        for frame, told in grouped(clip, sending.group):
            choice, frames = adapter.choose(frame, frame.frame_id, carriers, condition=told), frames_of(frame)
            spent = 1000 * choice.airtime / SAMPLE_RATE / len(frames)
            chosen += [
                (spent, choice.expected_ter, psnr_db(clip.pictures[each.frame_id], whole[each.frame_id]))
                for each in frames
            ]
            done(len(frames))
            if number >= received:
                continue
            rng = np.random.default_rng([seed, number, frame.frame_id])
            (heard,) = link.receive(link.transmit(frame, choice.layout_seed, choice.mcs).in_noise(sending.esn0_db, rng))
            found = frames_of(streams.recover(0, LeftOver(heard.frame, heard.received)).frame)
            for sent, came in zip(frames, found, strict=True):
                shown = view.show(came, tokenizer.detokenize(came))
                wrong, quality = np.mean(came.tokens != sent.tokens), psnr_db(clip.pictures[sent.frame_id], shown)
                rows.append((spent, choice.expected_ter, wrong, quality))
    figures = [float(np.mean(column)) for column in zip(*rows, strict=True)] or [None] * 4
    spent, expected, whole_db = (float(np.mean(column)) for column in zip(*chosen, strict=True))
    return VideoAirtime(
        scheme, weight, sending.group, sending.tokens_per_packet, spent, expected, sending.esn0_db, whole_db, len(rows),
        *figures,
    )  # fmt: skip


def grouped(clip: Clip, group: int) -> list[tuple[TokenFrame, Condition]]:
    """Join a clip's frames, all but the first, to groups of successive frames, each with its condition."""
    found, start = [], 1
    while start < len(clip.frames):
        end = start + 1
        while end < min(start + group, len(clip.frames)) and clip.frames[end].follows:
            end += 1
        found.append((joined(clip.frames[start:end]), clip.conditions[start]))
        start = end
    return found


def frames_to_fit(
    data: Path, model: str, count: int, group: int, device: str = "auto",
    done: Callable[[int], None] = lambda _: None,
) -> tuple[list[TokenFrame], list[Condition]]:  # fmt: skip
    """Tokenize groups from the beginnings of the training split's videos, each video in turn.

    Args:
        data: folder, tar or zip of train/VIDEO/*, frames in order of their names.
        model: name or folder of the model.
        count: number of groups.
        group: frames per group.
        device: where networks run.
        done: called with the number of frames done since the last call.

    Returns:
        The groups, numbered from 0, and their conditions.

    Raises:
        ParameterError: the videos are too short.
    """
    tokenizer = load_video_tokenizer(model, VISITS, device)
    train = load_dataset((data,), "train", size=tokenizer.image_size, crops=1)
    shown = [train.pictures[each, 0] for each in videos(train)][:count]
    turns, found = -(-count // len(shown)), []
    for pictures in shown:
        clip = tokenized("video", pictures[: 1 + turns * group], following_way(tokenizer), done)
        found.append(
            [(each, told) for each, told in grouped(clip, group) if told.before and len(frames_of(each)) == group]
        )
    cases = [each for turn in zip_longest(*found) for each in turn if each is not None][:count]
    if len(cases) < count:
        raise ParameterError(f"the videos make {len(cases)} groups of {group} frames that follow others, not {count}")
    frames = [replace(frame, frame_id=number) for number, (frame, _) in enumerate(cases)]
    return frames, [told for _, told in cases]
