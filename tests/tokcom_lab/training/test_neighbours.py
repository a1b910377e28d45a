import torch
from torch.nn import functional as F

from tokcom_lab.training.neighbours import SHARPNESS, NeighbourPredictor, neighbour_bits


def grids(n, words, seed=0):
    """Grids in which a row holds one code: the others of its row tell a masked one."""
    generator = torch.Generator().manual_seed(seed)
    codebook = F.normalize(torch.randn(words, 8, generator=generator), dim=1)
    tokens = torch.randint(0, words, (n, 6, 1), generator=generator).expand(n, 6, 6)
    return codebook, tokens


def test_what_neighbours_tell_costs_few_bits_and_what_nothing_tells_all():
    torch.manual_seed(0)
    codebook, tokens = grids(32, 16)
    told, untold = [], []
    for by_row, steps, bits in ((True, 150, told), (False, 40, untold)):
        predictor = NeighbourPredictor(8, 16)
        learner = torch.optim.AdamW(predictor.parameters(), 3e-3)
        for _ in range(steps):
            # Drawn anew each time: nothing can be learnt by heart.
            source = tokens[torch.randperm(len(tokens))] if by_row else torch.randint(0, 16, tokens.shape)
            masked = torch.rand(source.shape) < 0.2
            vectors = codebook[source]
            cost = neighbour_bits(predictor, vectors, vectors, codebook, masked)
            learner.zero_grad()
            cost.backward()
            learner.step()
            bits.append(float(cost.detach()))
    assert sum(told[-10:]) / 10 < 1.2 < 3 < sum(untold[-10:]) / 10


def test_the_encoder_is_told_which_code_is_likelier():
    """A latent between two codes is drawn to the one that the predictor believes in."""
    codebook = torch.eye(8)[:2]
    latent = F.normalize(torch.tensor([1.0, 1.0, 0, 0, 0, 0, 0, 0]), dim=0).expand(1, 1, 1, 8)
    latent = latent.clone().requires_grad_()
    predictor = NeighbourPredictor(8, 2)
    torch.nn.init.zeros_(predictor.head.weight)
    predictor.head.bias.data = torch.tensor([0.0, 2.0])
    masked = torch.ones(1, 1, 1, dtype=torch.bool)
    neighbour_bits(predictor, latent, latent.detach(), codebook, masked).backward()
    pull = -latent.grad[0, 0, 0]
    assert pull[1] > 0 > pull[0] and SHARPNESS > 0


def test_a_masked_cell_does_not_show_itself():
    predictor, (codebook, tokens) = NeighbourPredictor(8, 16), grids(2, 16)
    masked = torch.zeros(tokens.shape, dtype=torch.bool)
    masked[:, 2, 3] = True
    other = tokens.clone()
    other[:, 2, 3] = (other[:, 2, 3] + 1) % 16
    assert torch.equal(predictor(codebook[tokens], masked), predictor(codebook[other], masked))
