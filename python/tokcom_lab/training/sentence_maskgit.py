"""Training of MaskGIT for photographs, with sentences for classes and soft tokens (beliefs)."""

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tokcom.context.maskgit_network import MaskGitConfig, MaskGitNetwork
from tokcom.device import autocast
from tokcom.errors import ParameterError
from tokcom_lab.training.averaging import average_of, follow
from tokcom_lab.training.loop import rate_by_share
from tokcom_lab.training.maskgit import MASKED_SHARE, MaskGitTask
from tokcom_lab.training.optimizers import MuonAdamW

UNTOLD = 0.15
"""Share of pictures without a sentence."""
DROPOUT = 0.05
SENTENCE_NOISE = 0.02
"""Standard deviation of the noise on half of the sentences, whose components have one of 0.05: users' sentences differ
from the list's phrasings."""
NOISY_PICTURES, NOISY_TOKENS = 0.5, 0.02
"""Share of pictures with wrong tokens among the known ones, and share of wrong tokens in them: a receiver's accepted
tokens are not always right."""
BELIEF_PICTURES = 0.25
"""Share of pictures with some tokens given as probabilities of words, as after a channel."""
BELIEF_LLRS = (0.3, 6.0)
"""Smallest and largest mean log-likelihood ratio of the bits from which such probabilities are computed."""


class SentenceMaskGitTask(MaskGitTask):
    """Cross-entropy over masked tokens, given a sentence and the other tokens, of which some are wrong and some are
    beliefs.

    A class is described by one of several phrasings, as an embedding, so that any sentence can be used later. A belief
    is the posterior of a token's word after its bits passed through noise under a random numbering; the network sees
    the mixture of the words' embeddings. The average over the last thousand steps is measured and exported.

    Args:
        config: shape of the network, with `condition_dim`.
        train_tokens: (n, variants, tokens).
        train_labels: int64 (n,).
        test_tokens: (n, variants, tokens), of which variant 0 is measured.
        test_labels: int64 (n,).
        sentences: float32 (classes, phrasings, condition_dim), embeddings of sentences about each class; the first
            phrasing is stored in the model.
        odds: float (n,), probability of each training picture; None for uniform.
        batch: pictures per step.
        seed: seed of everything random.
        codes: name of the tokens' origin, which must be the same to continue a run.
        device: device of the training.

    Raises:
        ParameterError: the sentences do not fit the configuration.
    """

    growing = ("conditions",)

    def __init__(
        self, config: MaskGitConfig, train_tokens: np.ndarray, train_labels: np.ndarray, test_tokens: np.ndarray,
        test_labels: np.ndarray, sentences: Tensor, *, odds: np.ndarray | None = None, batch: int = 256, seed: int = 0,
        codes: str = "", device: torch.device = MaskGitTask.device,
    ):  # fmt: skip
        if sentences.ndim != 3 or sentences.shape[::2] != (config.num_classes, config.condition_dim):
            raise ParameterError(
                f"sentences of shape {tuple(sentences.shape)} for {config.num_classes} classes; it must be classes by "
                f"phrasings of {config.condition_dim} numbers"
            )
        torch.manual_seed(seed)
        self.config, self.batch, self.seed, self.codes, self.device = config, batch, seed, codes, device
        self.train_tokens, self.train_labels = train_tokens, train_labels
        self.test_tokens, self.test_labels = test_tokens, test_labels
        self.odds, self.sentences = odds, sentences.float().to(device)
        network = MaskGitNetwork(config)
        network.conditions[:-1] = sentences[:, 0]
        self.model = _Training(network).to(device)
        for block in self.trained.blocks:
            for last in (block.projection, block.mlp[-1]):
                last.register_forward_hook(_dropout)
        learning = list(self.trained.named_parameters())
        matrices = {name for name, p in learning if p.ndim == 2 and name.startswith("blocks.")}
        self.optimizer = MuonAdamW.of(learning, matrices, self.learning_rate, weight_decay=0.05, batched=True)

    @property
    def trained(self) -> MaskGitNetwork:
        return self.model.network

    @property
    def exported(self) -> MaskGitNetwork:
        return self.model.average

    def warm_start(self, weights: dict[str, Tensor]) -> None:
        super().warm_start({name: each for name, each in weights.items() if name != "conditions"})
        self.exported.load_state_dict(self.trained.state_dict())

    def set_rates(self, step: int) -> None:
        """Set the rates by `rate_by_share`, as the clock may count instead of steps."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate * rate_by_share(self.share)

    def loss(self, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        network, batch, words, device = self.trained, self.batch, self.config.codebook_size, self.device
        chosen = rng.choice(len(self.train_labels), batch, p=self.odds)
        variant = rng.integers(0, self.train_tokens.shape[1], batch)
        tokens = torch.from_numpy(self.train_tokens[chosen, variant].astype(np.int64)).to(device)
        share = rng.uniform(*np.sqrt(MASKED_SHARE), (batch, 1)) ** 2
        masked = torch.from_numpy(rng.random(tokens.shape) < share).to(device)
        known = self._noisy(tokens).masked_fill(masked, words)
        sentences = self._told(self.train_labels[chosen], rng)
        rows = round(BELIEF_PICTURES * batch)
        with torch.no_grad():
            beliefs = self._beliefs(tokens[:rows])
            uncertain = ~masked[:rows] & (self._random(rows, tokens.shape[1]) < self._random(rows, 1))
        with autocast(device):
            embedded = network.token_embedding(known)
            mixed = beliefs.to(embedded.dtype) @ network.token_embedding.weight[:words]
            first = torch.where(uncertain[..., None], mixed.to(embedded.dtype), embedded[:rows])
            logits = network.predict(torch.cat([first, embedded[rows:]]), network.condition(sentences), masked)
        loss = F.cross_entropy(logits.float(), tokens[masked])
        return loss, {"bits": float(loss.detach()) / math.log(2)}

    def clip(self) -> Tensor:
        return nn.utils.clip_grad_norm_(self.trained.parameters(), 1.0)

    def moved(self) -> None:
        follow(self.model.average, self.model.network, int(self.model.steps))
        self.model.steps += 1

    def _told(self, labels: np.ndarray, rng: np.random.Generator) -> Tensor:
        """Draw a sentence for each picture; zeros for none."""
        phrasing = rng.integers(0, self.sentences.shape[1], len(labels))
        said = self.sentences[torch.from_numpy(labels).to(self.device), torch.from_numpy(phrasing).to(self.device)]
        noise = SENTENCE_NOISE * torch.randn_like(said) * (self._random(len(labels), 1) < 0.5)
        return (said + noise) * (self._random(len(labels), 1) >= UNTOLD)

    def _noisy(self, tokens: Tensor) -> Tensor:
        """Replace a few tokens by others."""
        wrong = (self._random(len(tokens), 1) < NOISY_PICTURES) & (self._random(*tokens.shape) < NOISY_TOKENS)
        return torch.where(wrong, torch.randint_like(tokens, self.config.codebook_size), tokens)

    def _beliefs(self, tokens: Tensor) -> Tensor:
        """Compute posteriors of the words (rows, places, words) after each token's bits, under a random numbering of
        the words, passed through Gaussian noise of random strength, one per picture."""
        words, device = self.config.codebook_size, self.device
        width = (words - 1).bit_length()
        numbering = torch.randperm(words, device=device)
        mean = BELIEF_LLRS[0] + (BELIEF_LLRS[1] - BELIEF_LLRS[0]) * self._random(len(tokens), 1, 1)
        # The variance of LLRs of antipodal signals in Gaussian noise is twice their mean.
        sent = signs(numbering[tokens], width)
        llrs = mean * sent + (2 * mean).sqrt() * torch.randn(sent.shape, device=device)
        likelihood = llrs @ (signs(torch.arange(words, device=device), width) / 2).T
        return likelihood.softmax(-1)[..., numbering]

    def _random(self, *shape: int) -> Tensor:
        return torch.rand(shape, device=self.device)


def signs(numbers: Tensor, width: int) -> Tensor:
    """Convert integers (…) to bits, least significant first, +1 for a 1 and -1 for a 0, float32 (…, width)."""
    return ((numbers[..., None] >> torch.arange(width, device=numbers.device)) & 1).float() * 2 - 1


def _dropout(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
    return F.dropout(output, DROPOUT, module.training)


class _Training(nn.Module):
    """Content of a checkpoint: the network, its average, and the number of steps."""

    def __init__(self, network: MaskGitNetwork):
        super().__init__()
        self.network, self.average = network, average_of(network)
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))
