"""Training of a VQ tokenizer's decoder on tokens found by search, and of its encoder to predict them."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tokcom.device import autocast
from tokcom.tokenizers.rate_distortion import FLAT, RateDistortionSearch, TokenLogits
from tokcom.tokenizers.vq_network import VQConfig, VQNetwork, as_input
from tokcom_lab.training.dataset import Dataset
from tokcom_lab.training.loop import Task
from tokcom_lab.training.optimizers import MuonAdamW
from tokcom_lab.training.tokenizer import psnr_db, use_of_codes
from tokcom_lab.training.views import Views

RATE = 0.08
"""Weight of one bit per token in the search, in nepers of mean squared error: 0.35 dB of PSNR."""
VISITS = 6
"""Default number of search passes per picture."""
SEARCHED = 0.25
"""Share of the steps that include a search pass, which takes longer than the step itself."""
SHARPNESS = 25.0
"""Inverse temperature of the encoder's choice among codes, for its training."""


class DecoderTask(Task):
    """Alternating training: the decoder learns to decode the tokens that the search chooses by means of the decoder.

    Every picture keeps its tokens between the steps that draw it, and a quarter of the steps include a search pass.
    Decoder and tokens thus improve in turns, as means and assignments do in k-means. The encoder learns to predict the
    chosen tokens (cross-entropy), so that the search has less to do. The meaning of the words hardly changes, so the
    context model, the prior of the search, remains valid.

    Args:
        config: shape of the network.
        train: pictures to train on; their `Views` are used.
        test: pictures to measure on.
        prior: the context model.
        batch: pictures per step.
        seed: seed of the order of pictures.
        codes: name of the prior's origin, which must be the same to continue a run.
        tokens: int (views, tokens), initial tokens, found with the weights of the warm start; None for the encoder's.
    """

    name = "decoder"
    learning_rate = 5e-4

    def __init__(
        self, config: VQConfig, train: Dataset, test: Dataset, prior: TokenLogits, *, batch: int = 32, seed: int = 0,
        codes: str = "", tokens: np.ndarray | None = None,
    ):  # fmt: skip
        torch.manual_seed(seed)
        self.config, self.views, self.test, self.batch, self.seed = config, Views.of(train), test, batch, seed
        self.classes, self.codes, self.tokens = list(train.classes), codes, tokens
        self.model = VQNetwork(config)
        codebook = self.model.codebook
        del self.model.codebook
        self.model.codebook = nn.Parameter(codebook)
        self.search = RateDistortionSearch(self.model, prior, RATE)
        side = config.image_size // config.patch_size
        self.model.register_buffer("chosen", torch.zeros(len(self.views), side, side, dtype=torch.int32))
        self.model.register_buffer("visited", torch.zeros(len(self.views), dtype=torch.int32))
        kernels = {name for name, p in self.model.named_parameters() if ".blocks." in name or ".detail." in name}
        kernels = {name for name in kernels if name.endswith("weight")}
        self.optimizer = MuonAdamW.of(self.model.named_parameters(), kernels, self.learning_rate, weight_decay=1e-4)

    def settings(self) -> dict:
        return {
            "network": self.config.as_dict(), "batch": self.batch, "seed": self.seed, "classes": self.classes,
            "codes": self.codes, "rate": RATE,
        }  # fmt: skip

    def warm_start(self, weights: dict[str, Tensor]) -> None:
        """Start from a trained tokenizer and from tokens of all views.

        Raises:
            CheckpointError: the weights belong to another network.
        """
        super().warm_start(weights)
        if self.tokens is not None:
            self.model.chosen.copy_(torch.from_numpy(self.tokens.astype(np.int32)).reshape(self.model.chosen.shape))
            return
        for start in range(0, len(self.views), 128):
            numbers = np.arange(start, min(start + 128, len(self.views)))
            with torch.no_grad(), autocast():
                self.model.chosen[numbers] = self.model.encode(as_input(self.views.pictures(numbers))).int()

    def loss(self, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        model = self.model
        with torch.no_grad():
            model.codebook.copy_(F.normalize(model.codebook, dim=1))
        searched = rng.random() < SEARCHED
        order = rng.random(len(self.views))
        # Search those with the fewest passes, so that all get equally many.
        numbers = (np.lexsort((order, model.visited.numpy())) if searched else order.argsort())[: self.batch]
        pictures, tokens = as_input(self.views.pictures(numbers)), model.chosen[numbers].long()
        vectors = model.codebook[tokens]
        with autocast():
            decoded = model.decode_vectors(vectors).float()
            latents = model.latents(pictures)
        error = (decoded - pictures).square()
        figures = {}
        if searched:
            (gradient,) = torch.autograd.grad(error.sum(), vectors, retain_graph=True)
            visit = int(model.visited[numbers[0]])
            better = self.search.visit(pictures, tokens, error.detach(), gradient, visit)
            model.chosen[numbers] = better.int()
            model.visited[numbers] += 1
            figures["exchanged"] = float((better != tokens).float().mean())
            tokens = better
        each = error.mean((1, 2, 3))
        logits = SHARPNESS * latents @ model.codebook.detach().T
        naming = F.cross_entropy(logits.flatten(0, 2), tokens.flatten())
        return (each + FLAT).log().mean() + naming, figures | {
            "psnr_db": float(10 * torch.log10(4 / each.detach()).mean()),
            "encoder_finds": float((logits.argmax(-1) == tokens).float().mean()),
        }

    def evaluate(self) -> dict[str, float]:
        """Measure the PSNR of the tokens after VISITS search passes, and of the encoder's tokens."""
        searched, encoded, chosen = [], [], []
        for start in range(0, len(self.test.labels), 64):
            pictures = as_input(self.test.pictures[start : start + 64, 0])
            tokens = self.model.encode(pictures)
            encoded.append(psnr_db(self.model, pictures, tokens))
            chosen.append(self.search.improve(pictures, tokens, VISITS))
            searched.append(psnr_db(self.model, pictures, chosen[-1]))
        return {
            "psnr_db": float(torch.cat(searched).mean()),
            "psnr_db_encoder_alone": float(torch.cat(encoded).mean()),
        } | use_of_codes(torch.cat(chosen), self.config)
