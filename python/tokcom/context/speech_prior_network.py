"""Masked transformer over time and residual quantizers of speech."""

from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from tokcom.context.maskgit_network import MaskGitBlock, MaskGitConfig


@dataclass(frozen=True)
class SpeechPriorConfig:
    """Shape of a `SpeechPriorNetwork`; it is stored in the model's card."""

    codebook_size: int = 128
    quantizers: int = 4
    frames: int = 20
    """Frames that it sees together."""
    width: int = 96
    depth: int = 3
    heads: int = 4
    kernel_size: int = 5
    mlp_ratio: int = 3

    as_dict = asdict


class SpeechPriorNetwork(nn.Module):
    """Network with logits of the words at chosen places of a window of tokens (batch, quantizers * frames), in
    row-major order; word `codebook_size` is [MASK]. Every quantizer has words and a head of its own."""

    def __init__(self, config: SpeechPriorConfig):
        super().__init__()
        self.config = config
        width, places = config.width, config.quantizers * config.frames
        self.token_embedding = nn.Embedding(config.quantizers * (config.codebook_size + 1), width)
        self.position_embedding = nn.Parameter(torch.zeros(places, width))
        shape = MaskGitConfig(
            config.codebook_size, config.quantizers, config.frames, 0, width, config.depth, config.heads,
            config.kernel_size, config.mlp_ratio,
        )  # fmt: skip
        self.blocks = nn.ModuleList(MaskGitBlock(shape) for _ in range(config.depth))
        self.head_norm = nn.LayerNorm(width)
        self.heads = nn.Parameter(torch.zeros(config.quantizers, config.codebook_size, width))
        self.bias = nn.Parameter(torch.zeros(config.quantizers, config.codebook_size))
        for weights in (self.token_embedding.weight, self.position_embedding, self.heads):
            nn.init.normal_(weights, std=0.02)
        for block in self.blocks:
            for last in (block.projection, block.mlp[-1]):
                nn.init.normal_(last.weight, std=0.02 / (2 * config.depth) ** 0.5)

    def forward(self, tokens: Tensor, places: Tensor) -> Tensor:
        """Compute logits (n, codebook_size) at the true entries of `places`, bool (batch, quantizers * frames), from
        tokens, int64 of the same shape, [MASK] where unknown."""
        config = self.config
        quantizer = torch.arange(config.quantizers, device=tokens.device).repeat_interleave(config.frames)
        x = self.token_embedding(tokens + quantizer * (config.codebook_size + 1)) + self.position_embedding
        for block in self.blocks:
            x = block(x)
        x, own = self.head_norm(x), quantizer.expand(len(tokens), -1)
        logits = torch.empty(int(places.sum()), config.codebook_size, dtype=x.dtype, device=x.device)
        chosen, stage = x[places], own[places]
        for each in range(config.quantizers):
            here = stage == each
            logits[here] = nn.functional.linear(chosen[here], self.heads[each], self.bias[each]).to(logits.dtype)
        return logits
