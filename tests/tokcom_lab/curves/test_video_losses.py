"""Losses from groups of frames, on clips whose answers are known."""

from dataclasses import replace

import numpy as np
import pytest

from tokcom.adaptation.cqi import predicted_per
from tokcom.context.prior import Prior
from tokcom.frame import TokenFrame
from tokcom.link.recovery import FrameRecovery
from tokcom.link.transmitter import TransmitConfig, Transmitter
from tokcom.mcs import find_mcs
from tokcom.models.fits import load_residual
from tokcom.packets.codebook import Codebook
from tokcom.packets.mcs_map import MCS_NOT_SENT
from tokcom_lab.curves import video_losses as curves
from tokcom_lab.curves.video_curve import FOLLOWING, MCS, REPEATED, Clip
from tokcom_lab.curves.video_groups import Sending
from tokcom_lab.training.export import export_residual

SIZE, SIDE, PER_PACKET = 64, 4, 2


class Stays(Prior):
    """Each token is that of the frame before with probability 0.9, else any."""

    codebook, codebook_size, grid, takes = "moving", SIZE, None, frozenset({"before"})

    def log_probabilities(self, tokens, wanted, conditions):
        rows = [np.eye(SIZE)[each.before.tokens][asked] for each, asked in zip(conditions, wanted, strict=True)]
        return np.log(0.9 * np.concatenate(rows) + 0.1 / SIZE).astype(np.float32)


class Shows:
    """Shows each token as a pixel of its grey level."""

    def detokenize(self, frame):
        return np.repeat(frame.tokens.reshape(SIDE, SIDE, 1), 3, axis=-1).astype(np.uint8)


def a_clip(count=9):
    """Another picture in frame 1, which then rests; no picture is exactly what its tokens show."""
    rng = np.random.default_rng(0)
    tokens = rng.permutation(SIZE)[: 2 * SIDE**2].reshape(2, -1)
    frames = [
        TokenFrame(tokens[int(number > 0)], "moving", SIZE, (SIDE, SIDE), frame_id=number, follows=int(number > 0))
        for number in range(count)
    ]
    shown = np.stack([Shows().detokenize(frame) for frame in frames])
    return Clip("rests", shown + rng.integers(1, 3, shown.shape).astype(np.uint8), tuple(frames))


def a_receiver(recovery=None):
    return curves.VideoReceiver(
        recovery, Codebook("moving", SIZE), TransmitConfig(MCS, tokens_per_packet=PER_PACKET)
    )  # fmt: skip


@pytest.mark.parametrize("concealed", ["by the prior", "by the frame before"])
@pytest.mark.parametrize("group", [1, 4])
def test_a_lost_frame_is_seen_until_its_tokens_come(group, concealed):
    """With a prior that repeats, damage is where nothing was sent since: two packets of eight come in each frame."""
    clip = a_clip()
    receiver = a_receiver(FrameRecovery("context", Stays()) if concealed == "by the prior" else None)
    sent = curves.VideoSender(group, receiver.config).sent(clip)
    sender, places = Transmitter(receiver.config), []
    for number, each in enumerate(sent):
        # Of each frame all packets but its two are left out.
        positions = sender.positions(each.frame, 0)
        own = [np.flatnonzero(positions[:, 0] // SIDE**2 == frame) for frame in range(len(positions) // 8)]
        mcs = np.full(len(positions), MCS_NOT_SENT, np.uint8)
        for frame, packets in enumerate(own):
            chosen = packets[[2 * (len(places) % 4), 2 * (len(places) % 4) + 1]]
            mcs[chosen] = find_mcs(MCS).index
            places.append(positions[chosen].ravel() - frame * SIDE**2)
        sent[number] = curves.SentGroup(each.frame, 0, mcs)
    nothing = [np.zeros(len(each.mcs), bool) for each in sent]
    found = receiver.receive(clip.frames[0], sent, nothing)
    arrived = np.zeros(SIDE**2, bool)
    for frame, shown, here in zip(clip.frames[1:], found[1:], places, strict=True):
        arrived[here] = True
        assert np.array_equal(shown.tokens == frame.tokens, arrived)


def test_one_lost_frame_is_over_with_the_next_that_comes_whole():
    clip, receiver = a_clip(), a_receiver()
    sent = [curves.VideoSender(4, receiver.config).sent(clip)]
    bench = curves.LossBench("toy", [clip], sent, receiver, Shows(), 0.5)
    found = list(bench.propagation(curves.NONE))
    assert [each.frame for each in found] == list(range(8)) and found[0].psnr_lost_db > 3
    assert all(each.psnr_lost_db == each.worst_db == each.lost == 0 for each in found[1:])


def test_the_share_lost_and_its_cost_are_those_of_the_losses():
    """In a picture that rests from the second frame on, frames that repeat lack what has not come yet."""
    clips, receiver = 40 * [a_clip()], a_receiver()
    sent = [curves.VideoSender(4, receiver.config).sent(clip) for clip in clips]
    none, some = (
        next(iter(curves.LossBench("toy", clips, sent, receiver, Shows(), lost).losses([curves.INDEPENDENT])))
        for lost in (0.0, 0.5)
    )
    assert none.psnr_db == none.psnr_clean_db and none.worst_frame_db == none.ter == 0
    assert some.psnr_db < some.psnr_clean_db == none.psnr_db and some.worst_frame_db > 1
    assert (some.group, some.tokens_per_packet, some.sent, some.frames) == (4, PER_PACKET, 1, 320)
    # 0.5 of the tokens lack in the first frame, 0.25 in the second, and so on.
    assert some.ter == pytest.approx((1 - 0.5**8) / 8, abs=0.02)


@pytest.mark.parametrize("pattern", [curves.INDEPENDENT, curves.BURSTS])
def test_patterns_lose_their_share(pattern):
    lost = curves.losses(pattern, 200_000, 0.2, np.random.default_rng(1))
    assert lost.mean() == pytest.approx(0.2, abs=0.01)
    runs = np.diff(np.flatnonzero(np.diff(np.r_[0, lost.astype(int), 0])))[::2]
    assert runs.mean() == pytest.approx(1 / 0.8 if pattern == curves.INDEPENDENT else curves.BURST, rel=0.05)
    assert not curves.losses(curves.NONE, 99, 0.2, np.random.default_rng(1)).any()


def test_noise_fails_the_share_of_packets_that_is_asked_for():
    config = TransmitConfig(MCS, tokens_per_packet=8)
    assert predicted_per(find_mcs(MCS), curves.esn0_db_of(config, 10, 0.2), 80) == pytest.approx(0.2, abs=0.01)


def test_groups_and_frames_by_themselves_are_compared(tiny_video_model):
    from tokcom.models.zoo import load_tokenizer

    export_residual(tiny_video_model, replace(load_residual("caltech64"), following=None))
    tokenizer, picture = (
        load_tokenizer(str(tiny_video_model), 0),
        np.random.default_rng(0).integers(0, 256, (16, 16, 3)),
    )
    first = tokenizer.tokenize(picture.astype(np.uint8))
    frames = tuple(replace(first, frame_id=number, follows=int(number > 0)) for number in range(5))
    clip, calls = Clip("still", np.repeat(picture[None].astype(np.uint8), 5, axis=0), frames), []
    bench = curves.LossComparison(str(tiny_video_model), tokenizer, 0.3, device="cpu", done=calls.append)
    rows = list(bench.groups([clip], Sending(4, 4, 40.0, 0.02)))
    assert sum(calls) == 5 * curves.GROUP_PASSES
    shares = {(each.scheme, each.pattern): each for each in rows if isinstance(each, curves.GroupLosses)}
    assert [each.frame for each in rows if isinstance(each, curves.Propagation)] == 2 * [0, 1, 2, 3]
    # A scene that rests is repeated exactly.
    assert shares[REPEATED, curves.INDEPENDENT].ter == 0 and (FOLLOWING, curves.BURSTS) in shares
    alone = list(bench.alone([Clip("still", clip.pictures, tuple(replace(each, follows=0) for each in frames))]))
    assert [each.pattern for each in alone] == [curves.INDEPENDENT, curves.BURSTS, curves.NOISE]
    assert sum(calls) == 5 * (curves.GROUP_PASSES + curves.ALONE_PASSES) and {each.group for each in alone} == {1}
