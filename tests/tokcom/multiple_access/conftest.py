from dataclasses import dataclass

import numpy as np
import pytest

from tokcom.context.condition import Condition
from tokcom.context.prior import Prior
from tokcom.multiple_access.burst import modulate_user
from tokcom.multiple_access.codebook import ModulationCodebook
from tokcom.multiple_access.header import UserHeader
from tokcom.multiple_access.plan import MultiUserPlan


@dataclass
class TablePrior(Prior):
    """Words of a class are likelier, by a table (classes, words) of probabilities."""

    table: np.ndarray
    codebook = "table"
    grid = None

    def __post_init__(self):
        self.codebook_size, self.num_classes = self.table.shape[1], len(self.table)
        self.asked = 0

    def log_probabilities(self, tokens, wanted, conditions):
        self.asked += len(tokens)
        told = [np.full(self.codebook_size, 1 / self.codebook_size) if c.label is None else self.table[c.label]
                for c in conditions]  # fmt: skip
        rows = [np.repeat(each[None], row.sum(), axis=0) for each, row in zip(told, wanted, strict=True)]
        return np.log(np.concatenate(rows)).astype(np.float32)


@pytest.fixture(scope="session")
def plan():
    return MultiUserPlan(ModulationCodebook(64, 8, seed=3), 96)


@pytest.fixture
def table_prior():
    table = np.full((2, 64), 1e-4)
    table[0, :32] = table[1, 32:] = 1
    return TablePrior(table / table.sum(axis=1, keepdims=True))


@pytest.fixture
def air(plan):
    """Bursts of several transmitters through channels of their own, and noise."""

    def send(
        tokens,
        plan=plan,
        esn0_db=20.0,
        late=(0, 5, 2, 3),
        cfo=(0.0, 1e-3, -5e-4, 2e-4),
        gains=None,
        lead=300,
        seed=0,
        cmi=(),
    ):
        rng = np.random.default_rng(seed)
        n = lead + plan.length + 600
        total = np.zeros(n, complex)
        for user, row in enumerate(tokens):
            label = cmi[user] if user < len(cmi) else None
            burst = modulate_user(plan, user, UserHeader(user + 7, 99, (8, 12), label), row)
            path = np.zeros(n, complex)
            path[lead + late[user] : lead + late[user] + len(burst)] = burst
            gain = np.exp(2j * np.pi * rng.random()) if gains is None else gains[user]
            total += gain * path * np.exp(1j * cfo[user] * np.arange(n))
        scale = np.sqrt(10 ** (-esn0_db / 10) * 64 / 52 / 2)
        noisy = total + scale * (rng.standard_normal(n) + 1j * rng.standard_normal(n))
        return noisy.astype(np.complex64)

    return send


@pytest.fixture
def labels():
    return [Condition(0), Condition(1)]
