"""A vocabulary kept with the weights: what its files held, or a message."""

import json

import pytest
import torch

from tokcom.context.byte_pairs import BytePairNetwork
from tokcom.errors import ModelError

VOCABULARY, MERGES = json.dumps({"a": 0, "é": 1, "aé": 2}).encode(), "#version: 0.2\na é\n\n".encode()


def network(vocabulary, merges):
    made = BytePairNetwork(len(vocabulary), len(merges))
    made.load_state_dict(
        {name: torch.tensor(list(each)) for name, each in (("vocabulary", vocabulary), ("merges", merges))}
    )
    return made


def test_a_tokenizer_gets_what_the_files_held():
    found = network(VOCABULARY, MERGES).words(dict, "mine", longest=7)
    assert found == {"vocab": {"a": 0, "é": 1, "aé": 2}, "merges": [("a", "é")], "longest": 7}


@pytest.mark.parametrize(("vocabulary", "merges"), [(b"{", MERGES), (VOCABULARY, b"\xff")], ids=["JSON", "UTF-8"])
def test_broken_files_are_named(vocabulary, merges):
    with pytest.raises(ModelError, match="mine: its vocabulary cannot be read"):
        network(vocabulary, merges).words(dict, "mine")
