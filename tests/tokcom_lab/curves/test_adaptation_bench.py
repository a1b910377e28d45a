import numpy as np
import pytest

from tokcom.adaptation.residual import NOT_SENT, ResidualModel
from tokcom.errors import ParameterError
from tokcom.frame import TokenFrame
from tokcom.link.known_noise import SymbolLink
from tokcom.link.receiver import Receiver
from tokcom.link.transmitter import Transmitter
from tokcom.mcs import find_mcs, mcs_table
from tokcom.models.codebooks import codebook
from tokcom_lab.curves.adaptation_bench import LARGEST_BOUND, NEGLIGIBLE, carriers_at, largest_bound, outer_loop
from tokcom_lab.curves.adaptation_plot import draw_airtime
from tokcom_lab.curves.effective_snr import carrier_gains, packets_lost
from tokcom_lab.curves.residual_fit import SCHEMES, ResidualData, fit_residual

CODEBOOK = codebook("caltech64").name


def test_fading_is_the_same_for_every_mean_and_policy_and_of_unit_power():
    gains = np.array([carrier_gains("epa", np.random.default_rng(i)) for i in range(4000)])
    assert np.mean(np.abs(gains) ** 2) == pytest.approx(1, rel=0.06)
    low, high = (carriers_at("epa", value, 0, "test", 3) for value in (4.0, 16.0))
    assert high - low == pytest.approx(12.0) and np.ptp(low) > 0
    assert not np.allclose(low, carriers_at("epa", 4.0, 0, "test", 4))
    assert carriers_at("awgn", 7.0, 0, "test", 3).tolist() == [7.0]


def test_losses_on_flat_carriers_are_those_of_the_table():
    scheme = find_mcs("16qam-1/2")
    lost = packets_lost(scheme, np.full(52, scheme.per10_esn0_db), 4000, np.random.default_rng(0))
    assert lost == pytest.approx(0.1, abs=0.02)


def test_a_dead_carrier_harms_no_more_than_its_share():
    link = SymbolLink(Transmitter(), Receiver([codebook("caltech64")]))
    frame = TokenFrame(np.arange(256, dtype=np.int32), CODEBOOK, 1024, (16, 16))
    carriers = np.full(52, 20.0)
    carriers[5] = -40.0
    (arrival,) = link.receive(link.transmit(frame, 3).in_noise(carriers, np.random.default_rng(1)))
    llrs = arrival.received.transmissions[0].llrs
    assert arrival.packets_ok.mean() > 0.95 and np.isfinite(llrs).all()
    # A carrier's symbols are known to be worthless.
    assert np.mean(np.abs(llrs) < 0.1) == pytest.approx(1 / 52, rel=0.3)


def test_the_outer_loop_holds_what_the_inner_one_alone_does_not():
    held = outer_loop(10.0, 600, 0.1, seed=2, warm_up=150)
    assert 0.07 < held["per"] < 0.13 < held["per_without"]


def test_the_fit_finds_the_model_that_made_the_data():
    rng = np.random.default_rng(0)
    middle = tuple(row.per10_esn0_db - 6 for row in mcs_table())
    true = ResidualModel(middle, (2.0,) * len(middle), 0.1, 0.4, (-0.7, 0.4), (0.02, 0.3))
    rows = []
    for name in SCHEMES:
        index = find_mcs(name).index
        for _ in range(40):
            bits = rng.gamma(8, 0.55, 64)
            value = middle[index] + rng.uniform(-1, 4)
            rates = true.token_error_rates(bits, bits.mean(), np.full(len(middle), value))
            rows.append((index, value, bits, rng.binomial(4, rates[:, index])))
            rows.append((NOT_SENT, 0.0, bits, rng.binomial(4, rates[:, NOT_SENT])))
    data = ResidualData(*(np.array(column) for column in zip(*rows, strict=True)), 4)
    fitted = fit_residual(data, steps=700)
    bits = np.full(64, 4.4)
    for name in SCHEMES:
        index = find_mcs(name).index
        for above in (1.0, 2.0, 3.0):
            levels = np.full(len(middle), middle[index] + above)
            wanted, found = (
                model.token_error_rates(bits, 4.4, levels)[0, [index, NOT_SENT]] for model in (true, fitted)
            )
            assert found == pytest.approx(wanted, abs=0.06)
    with pytest.raises(ParameterError, match="no frame was sent"):
        fit_residual(ResidualData(data.mcs[:2], data.esn0_db[:2], data.bits[:2], data.wrong[:2], 4))


@pytest.mark.parametrize(("true", "first"), [(0.02, 0.02), (0.02, 0.01), (0.02, 0.05), (0.003, 0.02), (0.3, 0.05)])
def test_the_bound_that_holds_is_found_from_either_side(true, first):
    found = largest_bound(lambda bound: bound <= true, first)
    assert true / 2 <= found <= true


def test_a_bound_that_always_or_never_holds_ends_at_the_limits():
    assert largest_bound(lambda bound: True, 0.1) == LARGEST_BOUND
    assert largest_bound(lambda bound: False, 0.1) == NEGLIGIBLE


def test_the_figure_shows_every_channel(tmp_path):
    rows = [
        {"channel": channel, "esn0_db": value, "policy": policy, "airtime_ms": 5 - value / 5, "ter": 0.0}
        for channel in ("awgn", "epa") for value in (4.0, 10.0) for policy in ("cqi", "semantic")
    ]  # fmt: skip
    draw_airtime(rows, tmp_path / "airtime.svg")
    assert "</svg>" in (tmp_path / "airtime.svg").read_text()
