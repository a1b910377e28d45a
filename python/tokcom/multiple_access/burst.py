"""A transmitter's burst: training, pilots, header and tokens as samples of unit mean power."""

import numpy as np

from tokcom.errors import FrameError
from tokcom.multiple_access.header import UserHeader
from tokcom.multiple_access.plan import (
    HEADER_SYMBOLS,
    PORT_BOOST,
    REPETITIONS,
    TRAINING_GUARD,
    MultiUserPlan,
    pilot_values,
    port_places,
    require_port,
)
from tokcom.phy.numerology import CARRIERS, CYCLIC_PREFIX, SYMBOL_LENGTH, time_domain


def modulate_user(plan: MultiUserPlan, port: int, header: UserHeader, tokens: np.ndarray) -> np.ndarray:
    """complex64 (plan.length,): the burst of one transmitter.

    Args:
        plan: what is agreed upon.
        port: of this transmitter, 0 to 3; no other may have it at the same time.
        header: what the burst holds.
        tokens: int (plan.n_slots,).

    Raises:
        FrameError: the tokens are not as many as the plan and the header say, or lie outside the codebook.
        ParameterError: there is no such port.
    """
    require_tokens(plan, tokens)
    if header.grid[0] * header.grid[1] != plan.n_slots:
        raise FrameError(f"the header's grid is {header.grid}; a burst of this plan has {plan.n_slots} tokens")
    return modulate_cells(plan, port, header, token_cells(plan, port, tokens))


def require_tokens(plan: MultiUserPlan, tokens: np.ndarray) -> None:
    """Raise FrameError unless the tokens fill a burst."""
    if tokens.shape != (plan.n_slots,) or not np.issubdtype(tokens.dtype, np.integer):
        raise FrameError(f"tokens are {tokens.dtype} of shape {tokens.shape}; a burst of this plan has {plan.n_slots}")
    outside = (tokens < 0) | (tokens >= plan.codebook.size)
    if outside.any():
        raise FrameError(f"token {tokens[outside][0]} lies outside the codebook of {plan.codebook.size} words")


def token_cells(plan: MultiUserPlan, port: int, tokens: np.ndarray) -> np.ndarray:
    """complex64 (payload_symbols, 52): the tokens' modulation vectors in the cells of their slots, others empty."""
    cells = np.zeros(plan.payload_symbols * len(CARRIERS), np.complex64)
    cells[plan.slot_cells] = plan.codebook.vectors[tokens] * plan.turns(port)
    return cells.reshape(plan.payload_symbols, len(CARRIERS))


def modulate_cells(plan: MultiUserPlan, port: int, header: UserHeader, cells: np.ndarray) -> np.ndarray:
    """The burst of one transmitter with any values, complex (payload_symbols, 52), in the cells of its payload."""
    require_port(port)
    grid = np.zeros((plan.n_symbols, len(CARRIERS)), np.complex64)
    for symbol in plan.pilot_symbols:
        places = port_places(port, symbol)
        grid[symbol, places] = PORT_BOOST * pilot_values(symbol)[places]
    values = header.to_symbols().reshape(HEADER_SYMBOLS, -1)
    for row, symbol in enumerate(plan.header_symbols):
        grid[symbol, port_places(port, symbol)] = PORT_BOOST * values[row]
    grid[plan.data_symbols] = cells
    samples = time_domain(grid, CARRIERS).astype(np.complex64)
    symbols = np.concatenate([samples[:, -CYCLIC_PREFIX:], samples], axis=1)
    training = training_symbol(port)
    guarded = np.concatenate([training[-TRAINING_GUARD:], np.tile(training, REPETITIONS)])
    return np.concatenate([guarded, symbols.reshape(plan.n_symbols * SYMBOL_LENGTH)])


def training_symbol(port: int) -> np.ndarray:
    """complex64 (64,), of unit mean power: what a port repeats at the start of its bursts."""
    values = np.zeros(len(CARRIERS), np.complex64)
    places = port_places(port, -1)
    values[places] = PORT_BOOST * pilot_values(-1)[places]
    return time_domain(values, CARRIERS).astype(np.complex64)
