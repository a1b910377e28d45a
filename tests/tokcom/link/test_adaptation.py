from dataclasses import replace

import numpy as np
import pytest

from tokcom.context.condition import Condition
from tokcom.errors import ParameterError
from tokcom.frame import BitFrame, TokenFrame
from tokcom.link.adaptation import POLICIES, AdaptationConfig, Choice, LinkAdapter
from tokcom.link.bit_packets import MOST_BITS
from tokcom.link.receiver import Receiver
from tokcom.link.transmitter import TransmitConfig, Transmitter
from tokcom.mcs import find_mcs, mcs_table
from tokcom.models.fits import load_residual
from tokcom.packets.codebook import Codebook
from tokcom.packets.layout import packet_layout
from tokcom.packets.mcs_map import MCS_NOT_SENT
from tokcom.security.keys import Key
from tokcom.security.sealer import Sealer
from tokcom.source.chooser import TokenChooser
from tokcom.tokenizers.groups import joined

FRAME = TokenFrame(
    np.random.default_rng(0).integers(0, 1024, 256).astype(np.int32), "caltech64", 1024, (16, 16), frame_id=9
)
BITS = np.random.default_rng(1).gamma(1.5, 3.0, 256).astype(np.float32)


class Unasked:
    """In place of a model that nobody needs to ask, since predictability is given."""


def choose(policy, esn0_db, bits=BITS, seed=100, offset=0.0, **settings):
    adapter = LinkAdapter(AdaptationConfig(policy, **settings), None, Unasked(), load_residual("caltech64"))
    return adapter.choose(FRAME, seed, np.array([esn0_db]), offset, bits=bits)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("esn0_db", [4.0, 25.0])
def test_what_is_chosen_can_be_sent_and_airtime_and_bits_are_those_of_the_burst(policy, esn0_db):
    choice = choose(policy, esn0_db)
    transmitter = Transmitter()
    burst = transmitter.transmit(FRAME, choice.layout_seed, choice.mcs)
    assert len(burst) == choice.airtime
    header = transmitter.header(FRAME, choice.layout_seed, choice.mcs, 4)
    assert sum(part.size for part in header.to_bits()) == choice.signalling_bits
    (received,) = Receiver([Codebook("caltech64", 1024, "image")]).receive(np.pad(burst, 400))
    sent = choice.mcs != MCS_NOT_SENT
    assert np.array_equal(received.header.mcs, choice.mcs) and received.packets_ok[sent].all()
    known = ~received.frame.lost
    assert np.array_equal(received.frame.tokens[known], FRAME.tokens[known]) and known.sum() == 4 * sent.sum()


def test_packets_that_a_rule_leaves_out_stay_unsent_unless_the_policy_decides_itself():
    thinned = TokenChooser("spread").thin(FRAME, 128)
    for policy in ("fixed", "cqi"):
        choice = LinkAdapter(AdaptationConfig(policy)).choose(thinned, 100, np.array([9.0]))
        assert (choice.mcs[32:] == MCS_NOT_SENT).all() and (choice.mcs[:32] != MCS_NOT_SENT).all()
        assert len(Transmitter().transmit(thinned, 100, choice.mcs)) == choice.airtime
    adapter = LinkAdapter(AdaptationConfig("semantic"), None, Unasked(), load_residual("caltech64"))
    with pytest.raises(ParameterError, match="frame 9 has a rule of what is sent"):
        adapter.choose(thinned, 100, np.array([9.0]), bits=BITS)


def test_a_choice_is_summed_up_in_words():
    mcs = np.array([8] * 40 + [10] * 20 + [MCS_NOT_SENT] * 4)
    told = Choice(mcs, 0, 0.0, 9.0, 0.01, 1.0, 5000, 200, True).summary
    assert told == "40 x 16qam-3/4, 20 x 64qam-2/3, 4 x not sent"


def test_with_a_key_airtime_and_bits_are_those_of_the_sealed_burst(tmp_path):
    adapter = LinkAdapter(AdaptationConfig("semantic"), None, Unasked(), load_residual("caltech64"), tag_bits=32)
    choice = adapter.choose(FRAME, 100, np.array([9.0]), bits=BITS)
    transmitter = Transmitter(sealer=Sealer(Key(bytes(32)), tmp_path / "epochs"))
    assert len(transmitter.transmit(FRAME, choice.layout_seed, choice.mcs)) == choice.airtime
    header, _ = transmitter.sealed(transmitter.header(FRAME, choice.layout_seed, choice.mcs, 4))
    assert sum(part.size for part in header.to_bits()) == choice.signalling_bits
    assert choice.expected_ter <= 0.02 and choice.airtime > choose("semantic", 9.0).airtime


def test_bursts_of_assumed_predictability_have_one_shape_whatever_is_in_them():
    one = choose("semantic", 9.0, BITS, assumed_bits=4.0)
    for other in (choose("semantic", 9.0, bits, assumed_bits=4.0) for bits in (0.1 * BITS, BITS[::-1])):
        assert np.array_equal(one.mcs, other.mcs) and (one.layout_seed, one.airtime) == (100, other.airtime)
    assert choose("semantic", 9.0, assumed_bits=0.5).airtime < one.airtime
    with pytest.raises(ParameterError, match="assumed_bits is 0"):
        AdaptationConfig(assumed_bits=0)


def test_what_is_expected_of_a_choice_is_what_it_was_chosen_by():
    adapter = LinkAdapter(AdaptationConfig("semantic"), None, Unasked(), load_residual("caltech64"))
    esn0_db = np.array([9.0])
    choice = adapter.choose(FRAME, 100, esn0_db, bits=BITS)
    assert adapter.expected_ter(FRAME, choice, esn0_db, BITS) == pytest.approx(choice.expected_ter, rel=1e-4)
    assert adapter.expected_ter(FRAME, choice, esn0_db, 2 * BITS) > choice.expected_ter


def test_semantic_is_never_longer_where_more_errors_are_allowed():
    airtimes = [choose("semantic", 8.0, bound=bound).airtime for bound in (0.001, 0.01, 0.03, 0.1, 0.3)]
    assert airtimes == sorted(airtimes, reverse=True) and airtimes[0] > airtimes[-1]


def test_predictable_frames_take_less_airtime():
    airtimes = [choose("semantic", 8.0, BITS * factor).airtime for factor in (0.3, 1.0, 1.6)]
    assert airtimes == sorted(airtimes) and airtimes[0] < airtimes[-1]


def test_expected_errors_are_within_the_bound_and_those_of_the_model():
    residual = load_residual("caltech64")
    for bound in (0.005, 0.02, 0.08):
        choice = choose("semantic", 9.0, bound=bound)
        assert choice.feasible and choice.expected_ter <= bound
        layout = packet_layout(256, 4, choice.layout_seed)
        rates = residual.token_error_rates(BITS[layout].mean(axis=1), BITS.mean(), np.full(len(mcs_table()), 9.0))
        column = np.where(choice.mcs == MCS_NOT_SENT, len(mcs_table()), choice.mcs)
        assert rates[np.arange(64), column].mean() == pytest.approx(choice.expected_ter, rel=1e-3)


def test_trying_layouts_only_helps():
    for value in (4.0, 7.0, 10.0, 13.0):
        one, many = (choose("semantic", value, bound=0.03, layouts=n) for n in (1, 64))
        assert many.airtime <= one.airtime and one.layout_seed == 100


def test_in_a_fade_that_nothing_survives_bursts_are_short():
    hopeless, poor = choose("semantic", -25.0), choose("semantic", -3.0)
    assert not hopeless.feasible and hopeless.airtime < poor.airtime


@pytest.mark.parametrize("esn0_db", [-25.0, 8.0])
def test_of_frames_that_are_larger_than_a_header_may_announce_all_is_sent(esn0_db):
    """576 packets: too many to leave out, and too many to name the MCS of each."""
    frame = TokenFrame(np.zeros(2304, int), "caltech64", 1024, (48, 48))
    adapter = LinkAdapter(AdaptationConfig("semantic", bound=0.1), None, Unasked(), load_residual("caltech64"))
    bits = np.random.default_rng(2).gamma(1.5, 3.0, 2304).astype(np.float32)
    choice = adapter.choose(frame, 0, np.array([esn0_db]), bits=bits)
    assert len(choice.mcs) == 576 and (choice.mcs != MCS_NOT_SENT).all()
    header = Transmitter().header(frame, choice.layout_seed, choice.mcs, 4)
    assert header.bits == choice.signalling_bits


def test_least_energy_is_no_longer_than_cqi_and_within_the_bound():
    for value in (6.0, 10.0, 14.0):
        cqi, semantic, power = (choose(policy, value) for policy in ("cqi", "semantic", "semantic-power"))
        assert power.airtime <= cqi.airtime and power.expected_ter <= 0.02
        energy = [each.airtime * 10 ** (each.power_db / 10) for each in (cqi, semantic, power)]
        assert energy[2] <= energy[1] <= energy[0]
        assert value + power.power_db >= min(value, 4.0)


def test_the_offset_counts_like_esn0():
    for policy in ("cqi", "semantic"):
        assert choose(policy, 12.0, offset=-3.0).airtime == choose(policy, 9.0).airtime
    assert np.all(choose("fixed", 9.0, mcs="bpsk-1/2").mcs == find_mcs("bpsk-1/2").index)


def test_wrong_settings_are_named():
    for bad in ({"policy": "best"}, {"target": 0}, {"bound": 1}, {"layouts": 0}, {"peak_db": -1}, {"mcs": "16qam"}):
        with pytest.raises(ParameterError, match=next(iter(bad))):
            AdaptationConfig(**bad)
    with pytest.raises(ParameterError, match="needs a context model"):
        LinkAdapter(AdaptationConfig("semantic"))


def test_frames_that_follow_have_expectations_of_their_own():
    """The table of videos decides where the receiver knows the frame before, and for groups."""
    pictures = replace(load_residual("caltech64"), following=None)
    easier = replace(pictures, middle_db=tuple(value - 3 for value in pictures.middle_db))
    group = joined([replace(FRAME, frame_id=9 + number, follows=1) for number in range(2)])
    before = Condition(before=replace(FRAME, frame_id=8))
    cases = [(FRAME, None), (FRAME, before), (group, None)]
    for residual, same in ((replace(pictures, following=easier), False), (pictures, True)):
        adapter, plain = (LinkAdapter(AdaptationConfig(), None, Unasked(), each) for each in (residual, pictures))
        for frame, told in cases:
            bits = np.resize(BITS, len(frame.tokens))
            ours, theirs = (
                each.choose(frame, 0, np.array([6.0]), bits=bits, condition=told) for each in (adapter, plain)
            )
            assert (ours.airtime < theirs.airtime) == (not same and (frame is group or told is not None))


def chosen_for_bits(esn0_db, packets, policy="cqi", per_packet=760, tag_bits=0, **settings):
    frame = BitFrame(np.zeros(packets * per_packet, int), "any", 9)
    adapter = LinkAdapter(
        AdaptationConfig(policy, **settings).for_bits(), TransmitConfig(bits_per_packet=per_packet), tag_bits=tag_bits
    )
    return adapter.choose(frame, 0, np.array([esn0_db]))


def fastest(esn0_db, listed):
    """The MCS of fewest symbols per packet of 760 bits that loses at most 10%, by trying all."""
    good = [row for row in mcs_table() if row.thresholds_db(760, listed)[0] <= esn0_db]
    return min(good, key=lambda row: row.symbols(2, 760)).name


@pytest.mark.parametrize("name", ["qpsk-1/2", "16qam-1/2", "16qam-3/4"])
def test_bits_are_sent_by_the_thresholds_of_the_decoder_that_they_have(name):
    """Between both thresholds of an MCS, that MCS where every packet is list-decoded, and a more robust one beyond the
    receiver's limit and with a key."""
    row, most = find_mcs(name), MOST_BITS // 760
    viterbi, listed = row.thresholds_db(760)[0], row.thresholds_db(760, True)[0]
    between = (viterbi + listed) / 2
    slower = fastest(between, False)
    assert fastest(between, True) == name != slower
    for packets, tag_bits, expected in ((1, 0, name), (most, 0, name), (most + 1, 0, slower), (4, 32, slower)):
        chosen = chosen_for_bits(between, packets, tag_bits=tag_bits)
        assert chosen.summary == f"{packets} x {expected}" and chosen.feasible
    for esn0_db, feasible in ((listed + 0.01, True), (listed - 0.01, False)):
        fixed = chosen_for_bits(esn0_db, 4, "fixed", mcs=name)
        assert fixed.expected_lost == pytest.approx(0.4, rel=0.06) and fixed.feasible == feasible


def test_bits_meet_the_bound_of_a_semantic_policy_as_a_target():
    for policy in ("semantic", "semantic-power"):
        for bound in (0.01, 0.2):
            bits, cqi = chosen_for_bits(6.0, 4, policy, bound=bound), chosen_for_bits(6.0, 4, target=bound)
            assert np.array_equal(bits.mcs, cqi.mcs) and bits.power_db == 0 and bits.expected_lost <= 4 * bound
    assert AdaptationConfig("cqi-context", target=0.3).for_bits() == AdaptationConfig("cqi-context", target=0.3)


def test_tokens_keep_the_thresholds_of_the_viterbi_decoder():
    row = find_mcs("16qam-1/2")
    for esn0_db, chosen in ((row.per10_esn0_db + 0.01, row.index), (row.per10_esn0_db - 0.01, row.index - 1)):
        assert (choose("cqi", esn0_db).mcs == chosen).all()
