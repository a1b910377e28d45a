"""What may go wrong on the air: the receiver never raises, counts what it drops, and decodes the next good burst."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokcom.frame import TokenFrame
from tokcom.link.receiver import Receiver
from tokcom.link.transmitter import TransmitConfig, Transmitter
from tokcom.packets.codebook import Codebook
from tokcom.packets.crc import Crc
from tokcom.packets.header_fields import FIELDS
from tokcom.phy import grid
from tokcom.phy.header_codec import CODE
from tokcom.phy.profile import profile, profile_names

pytestmark = pytest.mark.filterwarnings("error")

PROFILES = [profile(name) for name in profile_names()]
GOOD = 999_999
"""Number of the frame that follows every fault."""


def gaussian(rng, n, power=1.0):
    return (rng.normal(size=n) + 1j * rng.normal(size=n)) * np.sqrt(power / 2)


def burst(frame_id, name="standard", n_tokens=64, mcs=None):
    tokens = np.random.default_rng(frame_id).integers(0, 1024, n_tokens)
    frame = TokenFrame(tokens, "random", 1024, frame_id=frame_id)
    return Transmitter(TransmitConfig("qpsk-1/2", profile=name)).transmit(frame, 7, mcs)


def turned(samples, frequency):
    return samples * np.exp(1j * frequency * np.arange(len(samples)))


def coded_cells(bits, copies):
    """A part of the header, as a transmitter of this air interface would send it, of any bits."""
    values = 2.0 * CODE.encode(Crc.named("crc16").append(bits[None]))[0] - 1
    padded = np.ones((copies, -(-len(values) // 48) * 48), np.complex64)
    padded[:, : len(values)] = values
    return grid.spread(np.concatenate([np.roll(row, -5 * copy) for copy, row in enumerate(padded)]))


def false_burst(each, contents, extension=(), payload=0, rng=None):
    """A burst with a header of good CRC, whatever its contents, and random values behind."""
    parts = [coded_cells(np.array([int(bit) for bit in contents], np.uint8), each.header_copies)]
    if len(extension):
        parts.append(coded_cells(np.array(extension, np.uint8), each.header_copies))
    if payload:
        parts.append(1j ** rng.integers(0, 4, (payload, 48)))
    cells = np.concatenate(parts)
    return np.r_[each.preamble, grid.ofdm_symbols(cells)]


def header_text(**changed):
    fields = {
        "version": 1, "stream_id": 5, "frame_id": 77, "codebook_id": Codebook("random", 1024).id, "payload": 0,
        "layout": 9, "tokens_per_packet": 3, "token_bits": 9, "shape": 47, "cmi": 0, "mcs": 3, "share": 0,
        "extension_symbols": 0,
    } | changed  # fmt: skip
    return "".join(f"{fields[name]:0{width}b}" for name, width in FIELDS.items())


def receive(*parts, seed=0, noise=0.01):
    """Receiver and receptions of the parts, a gap, a good burst, and time enough for what false headers announce."""
    stream = np.concatenate([np.zeros(300), *parts, np.zeros(800), burst(GOOD), np.zeros(500)])
    # Bad samples may come in as they are.
    with np.errstate(invalid="ignore"):
        stream = stream + gaussian(np.random.default_rng(seed), len(stream), noise)
    receiver = Receiver([Codebook("random", 1024)])
    receptions = receiver.receive(stream)
    counters = receiver.searcher.counters
    assert counters.samples == len(stream)
    assert counters.preambles >= counters.bursts + sum(counters.headers_failed.values())
    return receiver, receptions


def good_one_of(receptions):
    """The good burst's reception, which must be there, once and whole."""
    (good,) = [each for each in receptions if each.header.frame_id == GOOD]
    assert good.packets_ok.all()
    assert np.array_equal(good.frame.tokens, np.random.default_rng(GOOD).integers(0, 1024, 64))
    return good


@settings(max_examples=40)
@given(data=st.data(), name=st.sampled_from(profile_names()), mixed=st.booleans(), seed=st.integers(0, 2**32 - 1))
def test_samples_missing_anywhere_in_a_burst(data, name, mixed, seed):
    """The end cut off, the beginning, or a piece of the middle."""
    whole = burst(1, name, mcs=np.resize([3, 6, 6], 16) if mixed else None)
    first, last = sorted(data.draw(st.tuples(*[st.integers(0, len(whole))] * 2)))
    kind = data.draw(st.sampled_from(("end", "beginning", "middle", "silence")))
    part = {
        "end": whole[:first], "beginning": whole[first:], "middle": np.delete(whole, slice(first, last)),
        "silence": np.r_[whole[:first], np.zeros(last - first), whole[last:]],
    }[kind]  # fmt: skip
    _, receptions = receive(part, seed=seed)
    good_one_of(receptions)
    for each in receptions:
        sent = np.random.default_rng(each.header.frame_id).integers(0, 1024, 64)
        arrived = ~each.frame.lost
        assert np.array_equal(each.frame.tokens[arrived], sent[arrived])


@settings(max_examples=40)
@given(
    apart=st.integers(0, 4000), names=st.tuples(*[st.sampled_from(profile_names())] * 2),
    level_db=st.floats(-30, 30), seed=st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_two_bursts_that_overlap(apart, names, seed, level_db):
    """No token that comes out is wrong; the one after them is whole."""
    rng = np.random.default_rng(seed)
    first, second = (turned(burst(i + 1, name), rng.uniform(-0.1, 0.1)) for i, name in enumerate(names))
    both = np.zeros(max(len(first), apart + len(second)), complex)
    both[: len(first)] += first
    both[apart : apart + len(second)] += 10 ** (level_db / 20) * second
    _, receptions = receive(both, seed=seed)
    good_one_of(receptions)
    for each in receptions:
        sent = np.random.default_rng(each.header.frame_id).integers(0, 1024, 64)
        arrived = ~each.frame.lost
        assert np.array_equal(each.frame.tokens[arrived], sent[arrived])
    if apart > len(first):
        assert [each.header.frame_id for each in receptions] == [1, 2, GOOD] or abs(level_db) > 10


def test_a_burst_repeated():
    receiver, receptions = receive(*[burst(1)] * 6)
    assert [each.header.frame_id for each in receptions] == [1] * 6 + [GOOD]
    assert all(each.packets_ok.all() for each in receptions) and receiver.searcher.counters.dropped == 0


def test_an_echo_from_far_away():
    """Beyond the cyclic prefix, 20 dB below."""
    one = burst(1)
    received = np.r_[one, np.zeros(400)]
    received[400:] += 0.1 * one
    _, receptions = receive(received)
    good_one_of(receptions)
    assert [each.header.frame_id for each in receptions if each.packets_ok.all()] == [1, GOOD]


@settings(max_examples=40)
@given(
    spots=st.lists(st.integers(0, 5000), max_size=30), run=st.integers(0, 2000), at=st.integers(0, 5000),
    bad=st.sampled_from((np.nan, np.inf, -np.inf, 1e30, 1e7, 9e5, 1e5, 1e3)), seed=st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_bad_and_loud_samples_in_bursts(spots, run, at, bad, seed):
    """They may cost what they hit and nothing that follows."""
    hit = np.concatenate([burst(1), burst(2), burst(3)])
    hit[[spot % len(hit) for spot in spots]] = bad
    # Thousands of loud samples in a row are another signal, whose mean must be told from direct current.
    hit[at : at + (run % 100 if abs(bad) < 1e6 else run)] = bad
    receiver, receptions = receive(hit, seed=seed)
    good_one_of(receptions)
    n_bad = np.sum(~(np.maximum(abs(hit.real), abs(hit.imag)) <= 1e6))
    assert receiver.searcher.counters.bad_samples == n_bad


@settings(max_examples=60)
@given(
    contents=st.integers(0, 2**119 - 1), plausible=st.booleans(), symbols=st.integers(0, 20), robust=st.booleans(),
    payload=st.integers(0, 10), seed=st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_headers_of_good_crc_and_absurd_contents(contents, plausible, symbols, robust, payload, seed):
    rng, each = np.random.default_rng(seed), PROFILES[robust]
    text = f"{1:03b}{contents:0119b}"
    extension = rng.integers(0, 2, 8 * max(2 * symbols - 3, 0))
    if plausible:
        # 48 packets, whose MCS map is all of the extension, or nearly.
        map_too = symbols in (14, 15)
        text = header_text(shape=191, mcs=15 if map_too else int(rng.integers(0, 15)), extension_symbols=symbols)
        extension[:16] = [int(bit) for bit in f"{0x1718:016b}"][: len(extension)]
        extension[8 * 26 :] = 0
    false = false_burst(each, text, extension, payload, rng)
    receiver, receptions = receive(false, seed=seed)
    good_one_of(receptions)
    counters = receiver.searcher.counters
    # It either failed or was believed; none of the packets behind was.
    assert counters.bursts + sum(counters.headers_failed.values()) + receiver.unusable >= 1
    assert not any(each.packets_ok.any() for each in receptions if each.header.frame_id != GOOD)


def test_a_header_that_names_its_mcs_in_a_longer_way_is_refused():
    """Else the receiver would not know where the packets begin: uniform MCS in an extension of its own."""
    extension = [int(bit) for byte in bytes.fromhex("16 33 33 33 33 33 33") for bit in f"{byte:08b}"]
    text = header_text(mcs=15, extension_symbols=5)
    receiver, receptions = receive(false_burst(PROFILES[0], text, extension, 20, np.random.default_rng(0)))
    good_one_of(receptions)
    assert len(receptions) == 1 and receiver.searcher.counters.headers_failed["contents"] == 1


@pytest.mark.parametrize("each", PROFILES, ids=lambda each: each.name)
@pytest.mark.parametrize(
    "flood", ["short", "preambles", "garbage headers", "good headers", "long announcements", "halves"]
)
def test_a_flood_of_false_preambles(each, flood):
    """Back to back, 60,000 samples of them."""
    rng = np.random.default_rng(3)
    one = {
        "short": each.preamble[: each.short_length + 64],
        "preambles": each.preamble,
        "garbage headers": np.r_[each.preamble, gaussian(rng, 80 * 9 * each.header_copies)],
        "good headers": false_burst(each, header_text(version=7)),
        "long announcements": false_burst(each, header_text(shape=0b101010110, mcs=0)),
        "halves": burst(1, each.name)[: each.preamble_length + 80 * 9 * each.header_copies + 100],
    }[flood]
    count = 60_000 // len(one)
    receiver, receptions = receive(*[one] * count)
    good_one_of(receptions)
    counters = receiver.searcher.counters
    assert counters.candidates <= 70_000 / 16
    failed = counters.headers_failed
    if flood == "preambles":
        assert failed["crc"] >= count // 2
    elif flood == "garbage headers":
        assert failed["crc"] >= count - 1
    elif flood == "good headers":
        assert failed["version"] >= count - 1
    elif flood == "long announcements":
        assert counters.bursts == count + 1 and counters.dropped >= count - 16
    elif flood == "short":
        assert counters.bursts == 1
    # Bursts announced and never sent hold no packet that passes.
    assert not any(each.packets_ok.all() for each in receptions if each.header.frame_id != GOOD)


@pytest.mark.parametrize("each", PROFILES, ids=lambda each: each.name)
def test_noise_of_any_level_before_a_burst(each):
    for level in (1e-8, 1e-3, 10.0):
        _, receptions = receive(gaussian(np.random.default_rng(4), 20_000, level), burst(2, each.name))
        good_one_of(receptions)
        assert [reception.header.frame_id for reception in receptions] == [2, GOOD]


def test_a_strong_transmitter_gone_silent():
    """A burst 40 dB above the next."""
    _, receptions = receive(100 * burst(1))
    good_one_of(receptions)


def test_many_streams_on_one_channel():
    """Bursts of several transmitters, each of its own level, offset and profile, in turn."""
    rng = np.random.default_rng(5)
    parts = []
    for i in range(24):
        level = 10 ** (rng.uniform(-10, 10) / 20)
        parts += [level * turned(burst(i, profile_names()[i % 2]), rng.uniform(-0.2, 0.2)), np.zeros(rng.integers(60))]
    _, receptions = receive(*parts, noise=1e-3)
    assert [each.header.frame_id for each in receptions] == [*range(24), GOOD]
    assert all(each.packets_ok.all() for each in receptions)
