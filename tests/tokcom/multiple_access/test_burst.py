import numpy as np
import pytest

from tokcom.errors import FrameError, ParameterError
from tokcom.multiple_access.burst import modulate_user, training_symbol
from tokcom.multiple_access.header import UserHeader
from tokcom.multiple_access.plan import PORTS, TRAINING_LENGTH, MultiUserPlan, port_places
from tokcom.phy.numerology import CARRIERS, SYMBOL_LENGTH


def test_ports_share_the_carriers_and_visit_all_of_them():
    for symbol in range(-1, 9):
        together = np.concatenate([port_places(port, symbol) for port in range(PORTS)])
        assert sorted(together) == list(range(len(CARRIERS)))
    visited = np.concatenate([port_places(2, symbol) for symbol in range(-1, PORTS - 1)])
    assert len(set(visited)) == len(CARRIERS)


def test_trainings_are_orthogonal_and_of_unit_power():
    gram = [[np.vdot(training_symbol(a), training_symbol(b)) / 64 for b in range(PORTS)] for a in range(PORTS)]
    np.testing.assert_allclose(gram, np.eye(PORTS), atol=1e-6)


def test_every_symbol_is_pilot_header_or_payload(plan):
    kinds = np.concatenate([plan.pilot_symbols, plan.header_symbols, plan.data_symbols])
    assert sorted(kinds) == list(range(plan.n_symbols))
    assert len(plan.data_symbols) == plan.payload_symbols
    assert len(np.unique(plan.slot_cells)) == plan.n_slots * plan.codebook.length


def test_a_burst_is_as_long_as_planned_and_holds_the_tokens(plan):
    tokens = np.random.default_rng(0).integers(0, 64, plan.n_slots)
    burst = modulate_user(plan, 1, UserHeader(0, 0, (8, 12)), tokens)
    assert len(burst) == plan.length and burst.dtype == np.complex64
    assert np.mean(np.abs(burst) ** 2) == pytest.approx(1, abs=0.1)
    # A second way to the cells: a DFT of the samples themselves.
    starts = TRAINING_LENGTH + 16 + SYMBOL_LENGTH * plan.data_symbols
    spectra = np.fft.fft(np.stack([burst[s : s + 64] for s in starts]), axis=1)[:, CARRIERS % 64] * np.sqrt(52) / 64
    found = spectra.ravel()[plan.slot_cells]
    np.testing.assert_allclose(found, plan.codebook.vectors[tokens], atol=1e-4)


def test_what_cannot_be_sent_is_refused(plan):
    header, tokens = UserHeader(0, 0, (8, 12)), np.zeros(plan.n_slots, int)
    with pytest.raises(FrameError, match="95"):
        modulate_user(plan, 0, header, tokens[1:])
    with pytest.raises(FrameError, match="64"):
        modulate_user(plan, 0, header, tokens + 64)
    with pytest.raises(FrameError, match="grid"):
        modulate_user(plan, 0, UserHeader(0, 0, (8, 8)), tokens)
    with pytest.raises(ParameterError, match="port is 4"):
        modulate_user(plan, 4, header, tokens)
    with pytest.raises(ParameterError, match="n_slots"):
        MultiUserPlan(plan.codebook, 0)
