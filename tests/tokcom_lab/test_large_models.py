"""The catalogue's shapes: they are those of networks of this package, with the weights and operations that it gives."""

import pytest
import torch

from tokcom.errors import ModelError
from tokcom.models.public.catalogue import public_models
from tokcom.models.public.speed import expected_seconds, machine_gflops
from tokcom_lab.large_models import gflop_of, meta_network

PARTS = {}
for _model in public_models().values():
    for _part in _model.parts.values():
        PARTS.setdefault((_part.family, str(_part.config)), _part)


@pytest.mark.parametrize("entry", PARTS.values(), ids=lambda entry: f"{entry.family} {entry.file}")
def test_shapes_have_the_weights_of_the_catalogue(entry):
    try:
        network = meta_network(entry)
    except ModelError as error:
        pytest.skip(str(error))
    assert sum(each.numel() for each in network.parameters()) == entry.parameters
    assert set(entry.gflop) in ({"encode", "decode"}, {"pass"}, {"encode"})


def test_operations_are_those_of_the_catalogue():
    entry = public_models()["halton-tiny"].parts["context"]
    assert gflop_of(meta_network(entry)) == entry.gflop


def test_operations_are_two_per_product():
    class Linear(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(1000, 5000, device="meta")
            self.config = type("Shape", (), {"grid": (100,)})

        def forward(self, tokens, labels, places):
            return self.layer(torch.zeros(100, 1000))

    assert gflop_of(Linear()) == {"pass": 1.0}


def test_time_is_expected_from_the_machines_speed():
    assert expected_seconds(90, 0.5, 60) == 3 and machine_gflops() > 0.1
