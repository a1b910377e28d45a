"""Expected time of a public model's passes on this machine."""

import time

import numpy as np

SIDE, ROUNDS = 768, 5
SHARE = 0.74
"""Share of the speed of matrix products at which context models of the catalogue run on processors, the median of
`./run bench large`."""


def machine_gflops() -> float:
    """Measure 10⁹ floating-point operations per second of float32 matrix products on this machine's processors, the
    best of a few."""
    left, right = (np.random.default_rng(seed).random((SIDE, SIDE), np.float32) for seed in (0, 1))
    best = np.inf
    for _ in range(ROUNDS):
        start = time.perf_counter()
        left @ right
        best = min(best, time.perf_counter() - start)
    return 2 * SIDE**3 / best / 1e9


def expected_seconds(gflop: float, share: float, machine: float) -> float:
    """Expected time of one pass on the processors.

    Args:
        gflop: 10⁹ operations of the pass.
        share: share of the speed of matrix products at which the network was measured to run.
        machine: that speed of this machine, of `machine_gflops`.

    Returns:
        Seconds.
    """
    return gflop / (share * machine)
