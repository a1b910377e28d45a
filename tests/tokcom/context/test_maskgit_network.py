"""Conditions of the masked transformer: vectors of classes, or a table of sentences."""

import torch

from tokcom.context.maskgit_network import MaskGitConfig, MaskGitNetwork

SMALL = MaskGitConfig(codebook_size=16, rows=4, columns=4, num_classes=3, width=16, depth=1, heads=2, condition_dim=6)


def _network() -> MaskGitNetwork:
    torch.manual_seed(0)
    network = MaskGitNetwork(SMALL).eval().requires_grad_(False)
    network.conditions[:3] = torch.nn.functional.normalize(torch.randn(3, 6), dim=1)
    return network


def _logits(network: MaskGitNetwork, label: int) -> torch.Tensor:
    tokens = torch.full((1, 16), SMALL.codebook_size)
    return network(tokens, torch.tensor([label]), torch.ones(1, 16, dtype=torch.bool))


def test_classes_of_one_sentence_are_one_condition():
    network = _network()
    assert not torch.equal(_logits(network, 0), _logits(network, 1))
    network.conditions[1] = network.conditions[0]
    assert torch.equal(_logits(network, 0), _logits(network, 1))


def test_no_condition_is_a_sentence_of_zeros():
    """The null class tells nothing but the bias, whatever the sentences are."""
    network = _network()
    before = _logits(network, SMALL.num_classes)
    network.conditions[:3] = 1.0
    assert torch.equal(_logits(network, SMALL.num_classes), before)
    assert torch.equal(before, network.head(network.head_norm(_body(network))))


def _body(network: MaskGitNetwork) -> torch.Tensor:
    """The network's last layer by hand, from nothing but masks, places and the condition's bias."""
    x = network.token_embedding(torch.full((1, 16), SMALL.codebook_size)) + network.position_embedding
    x = x + network.condition.bias
    for block in network.blocks:
        x = block(x)
    return x[0]


def test_without_sentences_each_class_has_a_vector():
    network = MaskGitNetwork(MaskGitConfig(codebook_size=16, rows=4, columns=4, num_classes=3, width=16, heads=2))
    assert network.class_embedding.weight.shape == (4, 16)
    assert not hasattr(network, "conditions")
