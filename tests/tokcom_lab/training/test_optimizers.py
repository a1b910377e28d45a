import torch
from torch import nn

from tokcom_lab.training.optimizers import BatchedMuon, MuonAdamW


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 1))


def optimizer(model):
    hidden = model[0].weight
    return MuonAdamW([hidden], [p for p in model.parameters() if p is not hidden], 0.02, 0.0)


def step(model, optimizer, seed):
    x = torch.randn(32, 8, generator=torch.Generator().manual_seed(seed))
    loss = (model(x)[:, 0] - x[:, 0] * x[:, 1]).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return float(loss.detach())


def test_it_learns():
    model = network()
    learner = optimizer(model)
    losses = [step(model, learner, seed) for seed in range(300)]
    assert sum(losses[-20:]) < 0.5 * sum(losses[:20])


def test_a_matrix_moves_along_its_orthogonalised_gradient():
    """An update's singular values are far more alike than the gradient's."""
    model = network()
    learner, before = optimizer(model), model[0].weight.detach().clone()
    step(model, learner, 0)
    values = torch.linalg.svdvals(model[0].weight.detach() - before)
    gradient = torch.linalg.svdvals(model[0].weight.grad)
    assert values[0] / values[-1] < gradient[0] / gradient[-1] / 3


def test_its_state_goes_on_where_it_was():
    whole, stopped = network(), network()
    learner, first = optimizer(whole), optimizer(stopped)
    for seed in range(6):
        step(whole, learner, seed)
    for seed in range(3):
        step(stopped, first, seed)
    second = optimizer(stopped)
    second.load_state_dict(first.state_dict())
    for seed in range(3, 6):
        step(stopped, second, seed)
    for a, b in zip(whole.parameters(), stopped.parameters(), strict=True):
        assert torch.equal(a, b)
    assert len(learner.param_groups) == 3 and all(group["lr"] == 0.02 for group in learner.param_groups)


def test_kernels_of_a_convolution_are_a_matrix():
    """A 1 x 1 convolution moves as the linear layer of its weights does."""
    torch.manual_seed(0)
    linear, conv = nn.Linear(8, 8, bias=False), nn.Conv2d(8, 8, 1, bias=False)
    conv.weight.data.copy_(linear.weight.data[:, :, None, None])
    learners = [MuonAdamW([each.weight], [nn.Parameter(torch.zeros(1))], 0.02, 0.0) for each in (linear, conv)]
    for seed in range(3):
        x = torch.randn(32, 8, generator=torch.Generator().manual_seed(seed))
        for layer, shaped, learner in ((linear, x, learners[0]), (conv, x[:, :, None, None], learners[1])):
            learner.zero_grad()
            layer(shaped).flatten(1).sin().sum().backward()
            learner.step()
    assert torch.allclose(linear.weight, conv.weight[:, :, 0, 0], atol=1e-6)


def test_batched_muon_moves_matrices_as_torch_does():
    """Two steps of both from the same weights, on matrices of two shapes at once."""
    generator = torch.Generator().manual_seed(0)
    shapes = ((8, 12), (12, 8), (8, 12))
    ours = [nn.Parameter(torch.randn(shape, generator=generator)) for shape in shapes]
    theirs = [nn.Parameter(p.detach().clone()) for p in ours]
    learners = (
        BatchedMuon(ours, 0.02, 0.1),
        torch.optim.Muon(theirs, lr=0.02, weight_decay=0.1, adjust_lr_fn="match_rms_adamw"),
    )
    for _ in range(2):
        for mine, own in zip(ours, theirs, strict=True):
            mine.grad = torch.randn(mine.shape, generator=generator)
            own.grad = mine.grad.clone()
        before = [p.detach().clone() for p in ours]
        for learner in learners:
            learner.step()
        for mine, own, old in zip(ours, theirs, before, strict=True):
            moved, expected = mine.detach() - old, own.detach() - old
            # Torch iterates in bfloat16 on every machine.
            assert float((moved - expected).norm() / expected.norm()) < 0.06


def test_batched_muon_takes_kernels_in_any_memory_format():
    torch.manual_seed(0)
    plain = nn.Conv2d(8, 16, 3)
    other = nn.Conv2d(8, 16, 3).to(memory_format=torch.channels_last)
    other.load_state_dict(plain.state_dict())
    x = torch.randn(2, 8, 6, 6)
    for conv in (plain, other):
        learner = MuonAdamW([conv.weight], [conv.bias], 0.02, 0.0, batched=True)
        for _ in range(2):
            learner.zero_grad()
            conv(x).sin().sum().backward()
            learner.step()
    assert torch.allclose(plain.weight, other.weight, atol=1e-3)


def test_groups_of_their_own_keep_their_settings_and_their_state():
    first, second, third = (nn.Parameter(torch.ones(4, 4)) for _ in range(3))
    further = [{"params": [third], "betas": (0.5, 0.9)}]
    learner = MuonAdamW([first], [second], 0.02, 0.0, batched=True, further=further)
    for parameter in (first, second, third):
        parameter.grad = torch.eye(4)
    learner.step()
    assert learner.param_groups[-1]["betas"] == (0.5, 0.9)
    again = MuonAdamW([first], [second], 0.02, 0.0, batched=True, further=further)
    again.load_state_dict(learner.state_dict())
    states = [each.state_dict()["state"] for each in (learner, again)]
    assert states[0].keys() == states[1].keys() == {0, 1, 2}
    for number in states[0]:
        for name, value in states[0][number].items():
            assert torch.equal(value, states[1][number][name])
