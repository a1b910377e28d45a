"""Groups of frames: what their airtime and their errors are, on a clip whose answers are known; expectations by size of
packets."""

from dataclasses import replace

import numpy as np
import pytest

from tokcom.adaptation.residual import NOT_SENT
from tokcom.mcs import find_mcs
from tokcom.metrics.pictures import psnr_db
from tokcom.models.fits import load_residual
from tokcom.models.zoo import load_tokenizer
from tokcom_lab.curves.residual_fit import FURTHER_DB, OFFSETS_DB, SCHEMES, measure_residual
from tokcom_lab.curves.video_curve import FOLLOWING, Clip
from tokcom_lab.curves.video_groups import Sending, airtime, grouped
from tokcom_lab.training.export import export_residual


@pytest.fixture
def clip(tiny_video_model):
    """A video of nine frames with a scene cut at the sixth, and its tokenizer."""
    export_residual(tiny_video_model, replace(load_residual("caltech64"), following=None))
    tokenizer, rng = load_tokenizer(str(tiny_video_model), 0), np.random.default_rng(0)
    picture = rng.integers(0, 256, (16, 16, 3)).astype(np.uint8)
    first = tokenizer.tokenize(picture)
    frames = tuple(replace(first, frame_id=number, follows=int(number not in (0, 5))) for number in range(9))
    return Clip("still", np.repeat(picture[None], 9, axis=0), frames), tokenizer


def test_groups_end_before_a_new_scene(clip):
    assert [frame.grid for frame, _ in grouped(clip[0], 8)] == [(4, 4, 4), (4, 4, 4)]
    assert [told.before is None for _, told in grouped(clip[0], 8)] == [False, True]
    assert [frame.grid[0] for frame, _ in grouped(clip[0], 3)] == [3, 4, 3, 4]  # of (4, 4), alone, the first side is 4


def test_groups_take_less_airtime_and_arrive_whole_where_nothing_is_lost(clip, tiny_video_model):
    found = [
        airtime(FOLLOWING, [clip[0]], str(tiny_video_model), clip[1], Sending(group, 4, 40.0, 0.02), 1, device="cpu")
        for group in (1, 4)
    ]
    assert found[1].airtime_ms < 0.5 * found[0].airtime_ms
    whole = psnr_db(clip[0].pictures[0], clip[1].detokenize(clip[0].frames[0]))
    for each in found:
        assert (each.received, each.ter, each.tokens_per_packet) == (8, 0, 4)
        assert each.received_airtime_ms == pytest.approx(each.airtime_ms)
        assert each.psnr_db == pytest.approx(each.whole_psnr_db) == pytest.approx(whole)


def test_expectations_are_measured_for_packets_of_any_size(clip, tiny_video_model):
    """At Es/N0s that are as far from the threshold of packets of that size."""
    frame, rows = clip[0].frames[0], {}
    for size in (4, 8):
        data = measure_residual(str(tiny_video_model), [frame], jobs=1, tokens_per_packet=size, each=1)
        assert data.bits.shape == data.wrong.shape == (1 + len(SCHEMES), 16 // size)
        assert (data.tokens, data.payload_bits, data.mcs[0]) == (size, 5 * size, NOT_SENT)
        rows[size] = data
    for name, index, *levels in zip(SCHEMES, rows[4].mcs[1:], rows[4].esn0_db[1:], rows[8].esn0_db[1:], strict=True):
        mcs = find_mcs(name)
        assert index == mcs.index
        offsets = [level - mcs.thresholds_db(5 * size)[0] for level, size in zip(levels, (4, 8), strict=True)]
        assert offsets[0] == pytest.approx(offsets[1])
        assert np.isclose(np.array(OFFSETS_DB) + FURTHER_DB.get(name, 0), offsets[0]).any()
