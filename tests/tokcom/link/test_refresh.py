"""Refresh of tokens that are left out: how long an error of the frame before can last."""

from dataclasses import replace

import numpy as np
import pytest

from tokcom.context.condition import Condition
from tokcom.errors import ParameterError
from tokcom.frame import LOST, TokenFrame
from tokcom.link.adaptation import AdaptationConfig, LinkAdapter
from tokcom.link.refresh import TokenRefresh
from tokcom.link.transmitter import TransmitConfig, Transmitter
from tokcom.models.fits import load_residual
from tokcom.packets.mcs_map import MCS_NOT_SENT
from tokcom.tokenizers.groups import frames_of, joined

FRAME = TokenFrame(np.arange(24), "caltech64", 1024, (4, 6))


class Unasked:
    """In place of a prior that nobody asks: each token is certain to be that of the frame before."""


def a_video(count, start=0):
    return [replace(FRAME, frame_id=start + number, follows=int(number > 0)) for number in range(count)]


@pytest.mark.parametrize("period", [1, 2, 5])
@pytest.mark.parametrize("group", [1, 3])
@pytest.mark.parametrize("layout", ["spread", "contiguous"])
def test_each_token_is_sent_in_every_run_of_frames(period, group, layout):
    """Whatever is left out at random; nothing is sent before it is due."""
    rng, refresh = np.random.default_rng(period), TokenRefresh(period)
    transmitter = Transmitter(TransmitConfig(tokens_per_packet=5, layout=layout))
    frames, sent = a_video(30), []
    for start in range(0, 30, group):
        frame = joined(frames[start : start + group])
        positions = transmitter.positions(frame, start)
        mcs = np.where(rng.random(len(positions)) < 0.8, MCS_NOT_SENT, 3)
        due = refresh.due(frame, positions, mcs)
        assert not due[mcs != MCS_NOT_SENT].any()
        mcs[due] = 3
        refresh.keep(frame, positions, mcs)
        assert not refresh.due(replace(frame, follows=0), positions, mcs).any()
        here = np.zeros(len(frame.tokens), bool)
        for row in positions[mcs != MCS_NOT_SENT]:
            here[row[row >= 0]] = True
        sent += list(here.reshape(-1, 24))
    runs = np.lib.stride_tricks.sliding_window_view(np.array(sent), period, axis=0)
    assert runs.any(axis=-1).all()


def test_a_frame_that_stands_alone_begins_again():
    refresh, positions = TokenRefresh(2), Transmitter().positions(FRAME)
    nothing = np.full(len(positions), MCS_NOT_SENT)
    first, second = a_video(2)
    refresh.keep(first, positions, nothing)
    assert refresh.due(second, positions, nothing).all()
    assert not refresh.due(replace(second, follows=0), positions, nothing).any()


@pytest.mark.parametrize("group", [1, 4])
def test_damage_to_a_scene_that_rests_ends_with_the_refresh(group):
    """Little need be sent of it, and a receiver that repeats what it has is wrong where nothing has come since the
    damage: for less than a period."""
    period, frames, shown, wrong, sent = 3, a_video(13), np.full(24, 999), [], 0
    config = AdaptationConfig("semantic", bound=0.3, refresh=period)
    adapter = LinkAdapter(config, TransmitConfig(), Unasked(), load_residual("caltech64"))
    for start in (0, *range(1, 13, group)):
        frame = joined(frames[start : start + group] if start else frames[:1])
        told = Condition(before=FRAME) if frame.follows else None
        bits = np.zeros(len(frame.tokens), np.float32)
        choice = adapter.choose(frame, start, np.full(52, 25.0), bits=bits, condition=told)
        assert len(adapter.transmitter.transmit(frame, choice.layout_seed, choice.mcs)) == choice.airtime
        assert choice.feasible and choice.expected_ter <= 0.3
        positions = adapter.transmitter.positions(frame, choice.layout_seed)
        tokens = np.full(len(frame.tokens), LOST)
        here = positions[choice.mcs != MCS_NOT_SENT].ravel()
        tokens[here] = frame.tokens[here]
        for each in frames_of(frame.with_tokens(tokens)):
            shown = np.where(each.lost, shown, each.tokens)
            wrong.append(np.mean(shown != FRAME.tokens))
            sent += np.count_nonzero(~each.lost)
            if each.frame_id == 6:
                shown = np.full(24, 999)
    assert min(wrong[:2]) > 0 and not any(wrong[2:7])
    assert wrong[7] > 0 and not any(wrong[6 + period :])
    assert sent < 0.6 * 13 * 24


def test_where_no_header_can_say_what_is_sent_all_is_sent(monkeypatch):
    adapter = LinkAdapter(
        AdaptationConfig("semantic", bound=0.3, refresh=1), TransmitConfig(), Unasked(), load_residual("caltech64")
    )
    usual = adapter._choice

    def refusing(frame, seed, mcs, *others):
        if len(set(mcs)) > 1 or not calls:
            calls.append(mcs)
            return usual(frame, seed, np.full(len(mcs), MCS_NOT_SENT, np.uint8), *others)
        if len(calls) == 1:
            calls.append(mcs)
            raise ParameterError("too many")
        return usual(frame, seed, mcs, *others)

    calls = []
    monkeypatch.setattr(adapter, "_choice", refusing)
    choice = adapter.choose(FRAME, 0, np.full(52, 25.0), bits=np.zeros(24, np.float32))
    assert len(calls) == 2 and (choice.mcs != MCS_NOT_SENT).all()


def test_a_period_is_at_least_a_frame():
    with pytest.raises(ParameterError, match="refresh is 0"):
        AdaptationConfig(refresh=0)
