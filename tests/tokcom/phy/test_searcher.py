import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import resample

from tokcom.errors import ParameterError
from tokcom.packets.crc import Crc
from tokcom.packets.header import BurstHeader
from tokcom.packets.header_fields import FIELDS
from tokcom.phy import grid
from tokcom.phy.burst import longest_burst, modulate, plan_burst
from tokcom.phy.demodulator import demodulate_burst
from tokcom.phy.header_codec import CODE
from tokcom.phy.profile import profile
from tokcom.phy.recent_samples import CHUNK
from tokcom.phy.searcher import MAX_PENDING, BurstSearcher

pytestmark = pytest.mark.filterwarnings("error")

STANDARD, ROBUST = profile("standard"), profile("robust")
both = pytest.mark.parametrize("each", (STANDARD, ROBUST), ids=lambda each: each.name)


def gaussian(rng, n, power=1.0):
    return (rng.normal(size=n) + 1j * rng.normal(size=n)) * np.sqrt(power / 2)


def a_burst(each=STANDARD, mcs=(3,) * 12, frame_id=77):
    header = BurstHeader(5, frame_id, 0x12345678, (4 * len(mcs),), 4, 10, np.array(mcs))
    phases = np.random.default_rng(frame_id).integers(0, 4, plan_burst(header, each).payload_values)
    return modulate(header, np.exp(1j * np.pi / 4 * (1 + 2 * phases)).astype(np.complex64), each)


def turned(samples, frequency):
    return samples * np.exp(1j * frequency * np.arange(len(samples)))


def frames(found):
    return [demodulate_burst(guarded(burst.samples), burst.sync).header.frame_id for burst in found]


def guarded(samples):
    """The samples, in memory that holds no numbers beyond them."""
    held = np.full(len(samples) + 100, np.nan, np.complex64)
    held[: len(samples)] = samples
    return held[: len(samples)]


def false_header(elements=b"", **changed):
    """A preamble with a header of good CRCs, of these contents."""
    fields = {
        "version": 1, "stream_id": 5, "frame_id": 77, "codebook_id": 0x12345678, "payload": 0, "layout": 9,
        "tokens_per_packet": 3, "token_bits": 9, "shape": 47, "cmi": 0, "mcs": 3, "share": 0, "extension_symbols": 0,
    } | changed  # fmt: skip
    bits = np.array([int(bit) for name, width in FIELDS.items() for bit in f"{fields[name]:0{width}b}"], np.uint8)
    symbols = fields["extension_symbols"]
    content = np.unpackbits(np.frombuffer(elements.ljust(max(2 * symbols - 3, 0), b"\0"), np.uint8))
    cells = []
    for part in (bits, content) if symbols else (bits,):
        coded = CODE.encode(Crc.named("crc16").append(part[None]))[0]
        values = np.ones(-(-len(coded) // 48) * 48, np.complex64)
        values[: len(coded)] = 2.0 * coded - 1
        cells.append(grid.spread(values))
    return np.r_[STANDARD.preamble, grid.ofdm_symbols(np.concatenate(cells))]


@both
@pytest.mark.parametrize("frequency", [-0.3, -0.1, 0.0, 0.0005, 0.19, 0.3])
def test_time_and_frequency_are_found(each, frequency):
    """At 10 dB: the position to a sample, the frequency to 0.005 rad/sample."""
    rng = np.random.default_rng(1)
    burst = turned(a_burst(each), frequency)
    starts, stream = [], np.zeros(0)
    for frame in range(6):
        starts.append(len(stream) + 500 + 13 * frame)
        stream = np.r_[stream, np.zeros(starts[-1] - len(stream)), burst]
    searcher = BurstSearcher()
    found = searcher.push(np.r_[stream, np.zeros(300)] + gaussian(rng, len(stream) + 300, 0.1))
    assert [burst.sync.profile for burst in found] == [each] * 6
    assert max(abs(burst.position - start) for burst, start in zip(found, starts, strict=True)) <= 1
    assert max(abs(burst.sync.frequency - frequency) for burst in found) < 0.005
    assert frames(found) == [77] * 6
    assert searcher.counters.bursts == 6 and sum(searcher.counters.headers_failed.values()) == 0


@pytest.mark.parametrize(("each", "esn0_db"), [(STANDARD, 3.0), (ROBUST, -3.0)], ids=["standard", "robust"])
def test_bursts_are_found_in_noise(each, esn0_db):
    rng = np.random.default_rng(2)
    gap = np.zeros(700)
    stream = np.concatenate([np.r_[gap, turned(a_burst(each, frame_id=i), rng.uniform(-0.3, 0.3))] for i in range(40)])
    stream = np.r_[stream, gap] + gaussian(rng, len(stream) + len(gap), 10 ** (-esn0_db / 10))
    found = BurstSearcher().push(stream)
    assert len(found) >= 38 and set(frames(found)) <= set(range(40))


KINDS = (
    "standard", "robust", "long", "mixed", "false", "preambles", "nan", "tone", "impulse", "inverted"
)  # fmt: skip


@settings(max_examples=40)
@given(data=st.data(), seed=st.integers(0, 2**32 - 1))
def test_bursts_are_the_same_however_the_stream_is_cut(data, seed):
    """Bit for bit, order and counters included, with bursts that overlap and of both profiles, and false headers."""
    rng = np.random.default_rng(seed)
    stream = gaussian(rng, 24000, 0.01)
    for frame in range(data.draw(st.integers(1, 8))):
        kind = data.draw(st.sampled_from(KINDS))
        part = {
            "standard": a_burst(STANDARD, frame_id=frame), "robust": a_burst(ROBUST, frame_id=frame),
            "long": a_burst(STANDARD, (0,) * 30, frame), "mixed": a_burst(STANDARD, (0, 3, 15), frame),
            "false": false_header(flags=3), "preambles": np.tile(STANDARD.preamble, 9), "nan": np.full(3, np.nan),
            "tone": turned(np.full(5000, 3.0), rng.uniform(-3, 3)), "impulse": np.full(10, 100.0),
            "inverted": a_burst(STANDARD, frame_id=frame).conj(),
        }[kind]  # fmt: skip
        start = data.draw(st.integers(0, len(stream) - len(part)))
        level = data.draw(st.sampled_from((0.3, 1.0, 3.0)))
        stream[start : start + len(part)] += level * turned(part, rng.uniform(-0.3, 0.3))
    whole, pieces = BurstSearcher(), BurstSearcher()
    expected = whole.push(stream)
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=12))
    if data.draw(st.booleans()):
        cuts = range(0, len(stream), data.draw(st.integers(100, 3000)))
    found = [burst for part in np.split(stream, sorted(cuts)) for burst in pieces.push(part)]
    assert [(burst.position, burst.sync) for burst in found] == [(burst.position, burst.sync) for burst in expected]
    assert all(np.array_equal(a.samples, b.samples) for a, b in zip(found, expected, strict=True))
    assert pieces.counters == whole.counters


def test_samples_may_come_one_by_one():
    stream = np.r_[np.zeros(50), a_burst(), np.zeros(10)]
    searcher = BurstSearcher()
    found = [burst for sample in stream for burst in searcher.push(np.array([sample]))]
    (expected,) = BurstSearcher().push(stream)
    assert np.array_equal(found[0].samples, expected.samples) and len(found) == 1


@both
@pytest.mark.parametrize("mcs", [(3,) * 12, (3, 6, 15), (15,) * 4], ids=["uniform", "mixed", "nothing sent"])
def test_a_burst_comes_out_with_its_last_sample(each, mcs):
    """Nothing need follow it: a recording may end there."""
    burst = a_burst(each, mcs)
    searcher = BurstSearcher()
    assert frames(searcher.push(np.r_[np.zeros(300), burst])) == [77]
    searcher.reset()
    assert searcher.push(np.r_[np.zeros(300), burst[:-17]]) == []


@pytest.mark.parametrize(
    "kind", ["noise", "noise and dc", "tone", "tone in noise", "weak tone", "dc", "zero", "slow square wave", "hum"]
)
def test_no_burst_is_found_where_none_is(kind):
    rng = np.random.default_rng(3)
    n = 400_000
    t = np.arange(n)
    signal = {
        "noise": lambda: gaussian(rng, n),
        "noise and dc": lambda: gaussian(rng, n) + 3 - 2j,
        "tone": lambda: turned(np.ones(n), 0.3),
        "tone in noise": lambda: turned(np.ones(n), -0.1) + gaussian(rng, n, 0.5),
        "weak tone": lambda: turned(np.full(n, 0.4), 0.7) + gaussian(rng, n),
        "dc": lambda: np.full(n, 0.7),
        "zero": lambda: np.zeros(n),
        "slow square wave": lambda: np.sign(np.sin(2 * np.pi * (t + 0.5) / 100)),
        "hum": lambda: np.cos(0.02 * t) + 0.3 * np.cos(0.06 * t),
    }[kind]()
    searcher = BurstSearcher()
    assert searcher.push(signal) == []
    counters = searcher.counters
    assert counters.samples == n and counters.bursts == counters.preambles == counters.bad_samples == 0
    # One search for each so many windows: it costs little time.
    assert counters.candidates <= n / 1000


@pytest.mark.parametrize("periodic", ["short training", "square wave", "square wave of 32", "pulses", "random"])
def test_what_repeats_every_16_samples_is_no_burst_and_hides_none(periodic):
    n = 100_000
    pattern = {
        "short training": STANDARD.preamble[:16],
        "square wave": np.repeat([1.0, -1.0], 8),
        "square wave of 32": np.repeat([1.0, -1.0], 16),
        "pulses": np.repeat([1.0, 0.0], [4, 12]),
        "random": gaussian(np.random.default_rng(4), 16),
    }[periodic]
    searcher = BurstSearcher()
    assert searcher.push(np.resize(pattern, n)) == [] and searcher.counters.bursts == 0
    # One search for each so many windows, however long it lasts.
    assert searcher.counters.candidates < n / 144
    assert frames(searcher.push(np.r_[np.zeros(1000), a_burst()])) == [77]


@pytest.mark.parametrize(
    "bad", [np.nan, np.inf, -np.inf, 1e7, 1e30, 1e300, complex(0, np.nan), complex(np.inf, np.nan)]
)
def test_bad_samples_are_counted_and_forgotten(bad):
    stream = np.r_[np.zeros(1000), a_burst(), np.zeros(100)].astype(np.complex128)
    stream[[0, 10, 700, 703]] = bad
    searcher = BurstSearcher()
    assert frames(searcher.push(stream)) == [77] and searcher.counters.bad_samples == 4
    searcher.push(np.full(5000, bad))
    assert frames(searcher.push(stream)) == [77] and searcher.counters.bad_samples == 5008


def test_bad_samples_within_a_burst_hurt_no_other():
    stream = np.r_[np.zeros(300), a_burst(frame_id=1), a_burst(frame_id=2)].astype(np.complex128)
    stream[300 + 330 : 300 + 400] = np.nan
    searcher = BurstSearcher()
    found = frames(searcher.push(stream))
    assert found[-1] == 2 and set(found) <= {1, 2} and searcher.counters.bad_samples == 70


@both
@pytest.mark.parametrize("sir_db", [-10, -5, 0, 5])
def test_bursts_are_found_beside_a_carrier(each, sir_db):
    """Anywhere in the band; what is cut out is free of it."""
    for seed in range(8):
        rng = np.random.default_rng(seed)
        burst = turned(a_burst(each, frame_id=seed), rng.uniform(-0.1, 0.1))
        stream = np.r_[np.zeros(600), burst, np.zeros(200)]
        carrier = 10 ** (-sir_db / 20) * turned(np.ones(len(stream)), rng.uniform(-2.5, 2.5)) * np.exp(1j * seed)
        stream = stream + gaussian(rng, len(stream), 0.03)
        searcher = BurstSearcher()
        (found,) = searcher.push(stream + carrier)
        assert frames([found]) == [seed] and found.tones >= 1
        first = found.position - found.sync.long_start + found.sync.profile.long_start - 4
        left = found.samples - stream[first : first + len(found.samples)]
        assert np.mean(np.abs(left[300:]) ** 2) < 0.05


@both
def test_bursts_are_found_among_impulses(each):
    """500 a million samples, each of 10 samples at 20 dB, and closer to each other now and then; none is lost."""
    rng = np.random.default_rng(1)
    stream = np.concatenate([np.r_[np.zeros(500), a_burst(each, frame_id=i)] for i in range(40)])
    stream = stream + gaussian(rng, len(stream), 0.01)
    places = rng.integers(0, len(stream) - 10, len(stream) // 2000)
    for place in places:
        stream[place : place + 10] += gaussian(rng, 10, 100)
    searcher = BurstSearcher()
    assert frames(searcher.push(stream)) == list(range(40))
    assert 0.7 * 10 * len(places) < searcher.counters.blanked_samples < 1.1 * 10 * len(places)


def test_a_weak_burst_soon_after_a_strong_one_is_found():
    """60 dB below, 300 samples behind."""
    for seed in range(10):
        rng = np.random.default_rng(seed)
        weak, strong = a_burst(frame_id=2), 1e3 * turned(a_burst(STANDARD, (3,) * 64, 1), 0.01)
        stream = np.r_[np.zeros(3000), strong, np.zeros(300), turned(weak, 0.02), np.zeros(300)]
        found = BurstSearcher().push(stream + gaussian(rng, len(stream), 0.03))
        assert frames(found) == [1, 2]


@pytest.mark.parametrize("apart", [4, 8, 11])
def test_an_echo_however_strong_hides_no_burst(apart):
    for phase in np.linspace(0, 2 * np.pi, 12):
        burst = np.r_[np.zeros(400), a_burst(), np.zeros(60)]
        stream = burst + np.exp(1j * phase) * np.roll(burst, apart)
        assert frames(BurstSearcher().push(stream + gaussian(np.random.default_rng(2), len(stream), 0.02))) == [77]


@both
@pytest.mark.parametrize("frequency", [-0.5, 0.0, 0.5])
def test_an_echo_that_cancels_the_short_training_hides_no_burst(each, frequency):
    rng = np.random.default_rng(7)
    sent = np.concatenate([np.zeros(700), *([a_burst(each, (3,) * 12), np.zeros(300)] * 4), np.zeros(1500)])
    received = turned(sent - 0.9 * np.r_[np.zeros(16), sent[:-16]], frequency) / np.sqrt(1.81)
    searcher = BurstSearcher()
    found = searcher.push(received + gaussian(rng, len(sent), 0.1))
    assert [burst.header.frame_id for burst in found] == [77] * 4


def test_without_tones_impulses_and_clipping_bursts_come_out_as_they_were():
    rng = np.random.default_rng(3)
    stream = np.concatenate([np.r_[np.zeros(300), turned(a_burst(frame_id=i), 0.1)] for i in range(20)])
    stream = (stream + gaussian(rng, len(stream), 0.1)).astype(np.complex64)
    searcher = BurstSearcher()
    found = searcher.push(stream)
    assert len(found) == 20 and searcher.counters.blanked_samples == 0 and searcher.counters.hints == {}
    for burst in found:
        first = burst.position - burst.sync.long_start + burst.sync.profile.long_start - 4
        sent = stream[first : first + len(burst.samples)]
        # But for the running mean, which is small.
        assert burst.tones == 0 and burst.clipped < 0.003 and np.abs(burst.samples - sent).max() < 0.1


@pytest.mark.parametrize(
    ("hint", "change"),
    [("inverted spectrum", np.conj), ("twice the sample rate", lambda x: x[::2]), ("clipping", lambda x: x)],
)
def test_hints_are_counted(hint, change):
    stream = np.r_[np.zeros(3000), change(a_burst(STANDARD, (3,) * 64)), np.zeros(6000)]
    stream = stream + gaussian(np.random.default_rng(4), len(stream), 0.01)
    if hint == "clipping":
        stream = np.clip(stream.real, -0.9, 0.9) + 1j * np.clip(stream.imag, -0.9, 0.9)
    searcher = BurstSearcher()
    assert len(searcher.push(stream)) == (hint == "clipping")
    assert searcher.counters.hints == {hint: 1} and hint in str(searcher.counters)


def test_a_rate_that_is_one_per_cent_off_is_told():
    burst = a_burst(STANDARD, (3,) * 20)
    fast = resample(np.r_[np.zeros(500), burst, np.zeros(500)], round((len(burst) + 1000) / 1.01))
    stream = np.tile(fast, 4) + gaussian(np.random.default_rng(5), 4 * len(fast), 0.01)
    searcher = BurstSearcher()
    assert searcher.push(stream) == [] and set(searcher.counters.hints) == {"a higher sample rate"}


@pytest.mark.parametrize("loud", [1e2, 1e3, 1e4, 1e5, 9e5])
def test_a_loud_moment_hurts_no_later_burst(loud):
    rng = np.random.default_rng(5)
    stream = np.r_[np.zeros(3000), a_burst()] + gaussian(rng, 3000 + len(a_burst()), 0.01)
    stream[1500] = loud
    assert frames(BurstSearcher().push(stream)) == [77]


@pytest.mark.parametrize("scale", [1e-9, 1e-4, 1.0, 1e5])
def test_the_scale_does_not_matter(scale):
    stream = np.r_[np.zeros(300), a_burst()] + gaussian(np.random.default_rng(6), 300 + len(a_burst()), 0.01)
    assert frames(BurstSearcher().push(scale * stream)) == [77]


def test_direct_current_is_taken_off():
    stream = np.r_[np.zeros(30000), a_burst()] + gaussian(np.random.default_rng(7), 30000 + len(a_burst()), 0.01)
    assert frames(BurstSearcher().push(stream + 2 - 1j)) == [77]


def test_both_profiles_are_found_in_one_stream_and_only_those_sought():
    parts = [a_burst(STANDARD, frame_id=1), a_burst(ROBUST, frame_id=2), a_burst(STANDARD, frame_id=3)]
    stream = np.concatenate([np.r_[np.zeros(400), part] for part in parts])
    stream = stream + gaussian(np.random.default_rng(8), len(stream), 0.01)
    assert frames(BurstSearcher().push(stream)) == [1, 2, 3]
    assert frames(BurstSearcher(["standard"]).push(stream)) == [1, 3]
    assert frames(BurstSearcher(["robust"]).push(stream)) == [2]
    with pytest.raises(ParameterError, match="'fast'"):
        BurstSearcher(["fast"])


@both
def test_bursts_may_follow_each_other_without_a_gap(each):
    stream = np.concatenate([a_burst(each, frame_id=i) for i in range(8)])
    searcher = BurstSearcher()
    assert frames(searcher.push(stream)) == list(range(8)) and searcher.counters.dropped == 0


def test_a_repeated_burst_comes_out_as_often():
    assert frames(BurstSearcher().push(np.tile(a_burst(), 5))) == [77] * 5


def test_of_two_that_overlap_the_stronger_comes_out():
    """14 dB below the other, in QPSK; whichever came first."""
    strong, weak = a_burst(frame_id=1), 0.2 * a_burst(frame_id=2)
    for first, second in ((strong, weak), (weak, strong)):
        for apart in (100, 600, 1200):
            stream = np.zeros(5000, complex)
            stream[200 : 200 + len(first)] += turned(first, 0.01)
            stream[200 + apart : 200 + apart + len(second)] += turned(second, -0.02)
            found = frames(BurstSearcher().push(stream + gaussian(np.random.default_rng(apart), 5000, 1e-3)))
            assert 1 in found


def test_positions_count_on_from_where_the_stream_was_begun_anew():
    searcher = BurstSearcher()
    stream = np.r_[np.zeros(300), a_burst()]
    assert searcher.push(stream)[0].position == 300
    assert searcher.push(stream)[0].position == 300 + len(stream)
    searcher.push(stream[:-500])
    searcher.reset(position=10**12 + 5)
    found = searcher.push(stream)
    assert [burst.position for burst in found] == [10**12 + 305] and frames(found) == [77]
    assert searcher.counters.bursts == 4 and searcher.counters.samples == 4 * len(stream) - 500


def test_the_counters_say_why_headers_fail():
    noise = gaussian(np.random.default_rng(9), 1000)
    cases = {
        "crc": np.r_[STANDARD.preamble, noise], "version": false_header(version=7),
        "element": false_header(b"\x60", extension_symbols=2), "contents": false_header(shape=511),
    }  # fmt: skip
    for kind, part in cases.items():
        searcher = BurstSearcher()
        assert searcher.push(np.r_[np.zeros(300), part, np.zeros(100)]) == []
        failed = searcher.counters.headers_failed
        assert failed == {"crc": 0, "version": 0, "element": 0, "contents": 0} | {kind: 1}
        assert bool(searcher.last_error) == (kind != "crc")
        assert searcher.counters.bursts == 0 and searcher.counters.preambles == 1


def size_of(value, seen):
    """Bytes that an object holds, with all that it refers to, each counted once."""
    if id(value) in seen:
        return 0
    seen.add(id(value))
    if isinstance(value, np.ndarray):
        return value.nbytes
    inside = value if isinstance(value, list | tuple) else vars(value).values() if hasattr(value, "__dict__") else ()
    return sys.getsizeof(value) + sum(size_of(each, seen) for each in inside)


def test_memory_is_constant_over_a_long_stream():
    """Three times round the buffer, with bursts, false preambles and noise."""
    rng = np.random.default_rng(10)
    searcher = BurstSearcher()
    parts = [
        a_burst(),
        np.zeros(5000),
        np.tile(STANDARD.preamble, 10),
        a_burst(ROBUST),
        false_header(shape=0b101010111),
    ]
    period = np.concatenate(parts) + gaussian(rng, sum(map(len, parts)), 0.01)
    n_buffer, sizes, found = size_of(searcher, set()) // np.dtype(np.complex64).itemsize, [], []
    for _ in range(3 * n_buffer // len(period) + 1):
        found.append(len(searcher.push(period)))
        sizes.append(size_of(searcher, set()))
    # A false header announces a burst that comes out later, full of whatever is there.
    assert all(n >= 2 for n in found[:-1])
    assert max(sizes) < sizes[0] + 12000 and max(sizes[8:]) - min(sizes[8:]) < 5000


def test_a_burst_as_long_as_any_is_kept_whole():
    """376 packets in 64-QAM 3/4, twice, once across the buffer's end."""
    header = BurstHeader(0, 3, 0, (188, 128), 64, 18, np.full(376, 11))
    symbols = np.exp(2j * np.pi * np.random.default_rng(11).random(98136)).astype(np.complex64)
    burst = modulate(header, symbols, STANDARD)
    assert len(burst) > 0.9 * longest_burst(STANDARD)
    searcher = BurstSearcher()
    pieces = np.r_[np.zeros(1000), burst, np.zeros(40000), burst]
    found = [each for start in range(0, len(pieces), 50000) for each in searcher.push(pieces[start : start + 50000])]
    assert [each.position for each in found] == [1000, 41000 + len(burst)]
    for each in found:
        assert np.max(np.abs(demodulate_burst(each.samples, each.sync).symbols - symbols)) < 0.05


def test_a_flood_of_false_headers_drops_the_oldest_and_keeps_the_newest():
    """Each announces a burst of 2000 symbols: too many are under way, and the next good burst is none the worse."""
    false = false_header(mcs=3, shape=0b101000110, token_bits=17)
    header = BurstHeader(5, 77, 0x12345678, (16, 64), 4, 18, np.full(256, 3))
    assert plan_burst(header, STANDARD).length > 30 * len(false)
    searcher = BurstSearcher()
    found = searcher.push(np.r_[np.tile(false, 25), a_burst(frame_id=9), np.zeros(100)])
    assert frames(found) == [9]
    assert searcher.counters.bursts == 26 and searcher.counters.dropped == 26 - MAX_PENDING
    # Those kept come out in time.
    later = searcher.push(np.zeros(80000))
    assert [burst.position for burst in later] == [len(false) * i for i in range(26 - MAX_PENDING, 25)]


def test_pushing_nothing_finds_nothing():
    searcher = BurstSearcher()
    assert searcher.push(np.zeros(0)) == [] and searcher.counters.samples == 0


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128, np.float32, np.int16])
def test_samples_of_any_type_are_taken(dtype):
    stream = np.r_[np.zeros(300), a_burst()]
    if np.issubdtype(dtype, np.complexfloating):
        assert frames(BurstSearcher().push(stream.astype(dtype))) == [77]
    else:
        assert BurstSearcher().push(np.zeros(2 * CHUNK, dtype)) == []
