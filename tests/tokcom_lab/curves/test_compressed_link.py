import numpy as np
import pytest

from tokcom.mcs import find_mcs, mcs_table
from tokcom.models.zoo import load_tokenizer
from tokcom_lab.curves.compressed_link import SLOWEST, CompressedLinkBench, frames_wrong
from tokcom_lab.curves.link_curve import link_curve
from tokcom_lab.curves.source_plot import draw_link

pytest.importorskip("constriction")


@pytest.fixture
def bench(tiny_model):
    tokenizer = load_tokenizer(str(tiny_model), 0)
    size = tokenizer.image_size
    pictures = np.random.default_rng(0).integers(0, 256, (2, size, size, 3), dtype=np.uint8)
    return CompressedLinkBench(pictures, tokenizer.encode(pictures), str(tiny_model), tokenizer, (1, 2), 2)


def test_wrong_frames_are_those_with_a_wrong_packet():
    """Beside the packet error rate of `link_curve`: a frame of n packets arrives if all do."""
    from tokcom.link.packet_link import LinkConfig

    mcs = find_mcs("qpsk-1/2")
    (point,) = link_curve(LinkConfig("k7", "qpsk", 4), [2.0], 4000, threads=1)
    found = frames_wrong(mcs, 3, 4, 1024, 2.0, 1500, 1)
    # More than 20 times the largest share ends the simulation early; both are means of random draws.
    assert found == pytest.approx(1 - (1 - point.per_genie) ** 3, abs=0.06)
    assert frames_wrong(mcs, 3, 4, 1024, 20.0, 50, 0) == 0


def test_without_noise_all_schemes_arrive_and_the_fastest_mcs_is_chosen(bench):
    for point in (bench.decoded_alone(4, 40.0, 20), bench.compressed(2, 40.0, 20)):
        assert (point.frames_wrong, point.chosen) == (0, True)
        assert point.psnr_db == bench.clean_db
    shortest = min(bench.airtime_ms(bench.frames[0], 4, mcs) for mcs in mcs_table())
    assert bench.decoded_alone(4, 40.0, 20).airtime_ms == shortest
    for scheme in SLOWEST:
        point = bench.jointly(scheme, 40.0, 1)
        assert point.frames_wrong == 0 and point.psnr_db == pytest.approx(bench.clean_db)
    point = bench.blocks_received(2, 40.0, find_mcs("qpsk-1/2"), 1)
    assert point.frames_wrong == 0 and point.psnr_db == pytest.approx(bench.clean_db)


def test_in_noise_blocks_are_lost_and_the_figure_is_drawn(bench, tmp_path):
    from dataclasses import asdict

    mcs = find_mcs("qpsk-1/2")
    rows = [bench.blocks_received(2, value, mcs, 2) for value in (-12.0, 40.0)]
    rows += [bench.received("raw, Viterbi", value, mcs, 1) for value in (-12.0, 40.0)]
    assert rows[0].frames_wrong == 1 and rows[2].frames_wrong == 1
    rows += [bench.compressed(1, value, 20) for value in (-12.0, 40.0)]
    assert rows[-2].frames_wrong > 0.5 and rows[-2].mcs == "bpsk-1/2"
    draw_link([asdict(row) for row in rows], tmp_path / "link.svg")
    assert (tmp_path / "link.svg").stat().st_size > 5000
