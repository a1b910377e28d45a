"""Reports on bursts: bytes and back, and through a whole burst on the air."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokcom.channel.awgn import awgn
from tokcom.errors import FrameError, ParameterError
from tokcom.link.receiver import Receiver
from tokcom.link.transmitter import TransmitConfig, Transmitter
from tokcom.packets.feedback import BANDS, CODEBOOK, MCS, TOKENS, Feedback
from tokcom.packets.header_fields import FRAME_IDS, MAX_PACKETS

CARRIERS = np.linspace(-3, 22, 52)


def a_report(**changed):
    values = {
        "stream_id": 5, "frame_id": 77, "packets": 64, "packets_lost": 9, "packets_open": 2,
        "carrier_esn0_db": CARRIERS,
    }  # fmt: skip
    return Feedback(**(values | changed))


def numbers(report):
    return report.stream_id, report.frame_id, report.packets, report.packets_lost, report.packets_open


@given(
    st.integers(0, 63), st.integers(0, FRAME_IDS - 1), st.integers(1, MAX_PACKETS), st.data(),
    st.lists(st.floats(-15, 47), min_size=1, max_size=60),
)  # fmt: skip
def test_what_is_said_is_understood(stream, frame, packets, data, carriers):
    lost = data.draw(st.integers(0, packets))
    still_open = data.draw(st.none() | st.integers(0, packets))
    report = Feedback(stream, frame, packets, lost, still_open, np.array(carriers))
    again = Feedback.from_frame(report.to_frame(3))
    assert numbers(again) == numbers(report)
    assert again.carrier_esn0_db.shape == (BANDS,)
    low, high = min(carriers), max(carriers)
    assert (again.carrier_esn0_db >= low - 0.2501).all() and (again.carrier_esn0_db <= high + 0.2501).all()


def test_each_band_is_the_mean_of_its_carriers_to_a_quarter_of_a_decibel():
    heard = Feedback.from_frame(a_report().to_frame()).carrier_esn0_db
    assert np.abs(heard - CARRIERS.reshape(BANDS, 4).mean(axis=1)).max() <= 0.25 + 1e-5


def test_quality_beyond_the_scale_ends_at_its_ends():
    heard = Feedback.from_frame(a_report(carrier_esn0_db=np.r_[np.full(26, -90.0), np.full(26, 90.0)]).to_frame())
    assert heard.carrier_esn0_db[0] == -16 and heard.carrier_esn0_db[-1] == 47.5


def test_the_bytes_on_the_air():
    """Worked out by hand: 6 + 20 + 3 x 15 bits of numbers, 13 x 7 of bands, (x + 16) / 0.5 each, 6 bits of zeros."""
    text = (
        "000101" "00000000000001001101" "000000001000000" "000000000001001" "000000000000010"
        + "0110100" * 13 + "000000"
    )  # fmt: skip
    expected = [int(text[start : start + 8], 2) for start in range(0, len(text), 8)]
    frame = a_report(carrier_esn0_db=np.full(52, 10.0)).to_frame()
    assert frame.tokens.tolist() == expected and len(expected) == TOKENS
    assert (frame.codebook, frame.modality) == (CODEBOOK.name, "feedback")


def test_the_example_of_the_air_interface_is_its_bytes():
    frame = a_report(carrier_esn0_db=np.full(52, 10.0)).to_frame(0)
    page = (Path(__file__).parents[3] / "docs" / "air-interface.md").read_text(encoding="utf-8")
    assert f"`{' '.join(f'{token:02X}' for token in frame.tokens)}`" in page


def test_it_crosses_a_poor_channel_as_a_burst():
    transmitter = Transmitter(TransmitConfig(MCS, tokens_per_packet=TOKENS))
    receiver, rng = Receiver([CODEBOOK]), np.random.default_rng(0)
    samples = np.concatenate(
        [np.pad(transmitter.transmit(a_report(frame_id=k).to_frame(k), 0), (300, 500)) for k in range(20)]
    )
    receptions = receiver.receive(awgn(samples, 3.0, rng))
    heard = [Feedback.from_frame(each.frame).frame_id for each in receptions if not each.frame.lost.any()]
    assert set(heard) <= set(range(20)) and len(heard) >= 18


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"stream_id": 64}, "stream_id is 64; it must be 0 to 63"),
        ({"packets": 0}, "packets is 0; it must be 1 to 16384"),
        ({"packets_lost": 65}, "packets_lost is 65; it must be 0 to 64"),
        ({"packets_open": -1}, "packets_open is -1"),
        ({"carrier_esn0_db": [np.nan]}, "carrier_esn0_db is"),
        ({"carrier_esn0_db": []}, "carrier_esn0_db is"),
    ],
)
def test_absurd_reports_are_not_sent(changed, message):
    with pytest.raises(ParameterError, match=message):
        a_report(**changed)


def test_frames_that_are_no_report_are_refused():
    frame = a_report().to_frame()
    lost, more, absurd = frame.tokens.copy(), frame.tokens.copy(), frame.tokens.copy()
    lost[0] = -1
    more[-1] |= 1
    absurd[3:] = 255
    for tokens, message in (
        (lost, "was lost"),
        (more, "reserved bits set"),
        (frame.tokens[:-1], "is not a feedback report"),
    ):
        with pytest.raises(FrameError, match=message):
            Feedback.from_frame(
                type(frame)(tokens, frame.codebook, frame.codebook_size, modality="feedback", frame_id=0)
            )
    absurd[-1] = 0xC0
    with pytest.raises(FrameError, match="feedback 0 holds but its values are impossible: packets"):
        Feedback.from_frame(frame.with_tokens(absurd))
