"""Language models of the package transformers as networks: GPT-2, Llama and their like, BERT, RoBERTa and theirs."""

from collections.abc import Mapping
from dataclasses import dataclass
from inspect import signature

import torch
from torch import Tensor, nn

from tokcom.errors import ModelError, ParameterError


@dataclass(frozen=True)
class TransformerConfig:
    """Shape of a language model, and how a text is put before it.

    Args:
        codebook_size: words of the vocabulary.
        context: maximum number of tokens, those of `before` and `behind` included.
        model: the configuration that transformers has of it, as its config.json.
        before: tokens that precede every text; a causal model needs at least one.
        behind: tokens that follow it.
        mask: token that stands for an unknown one; None for a causal model.
        unused: words that do not occur in texts.

    Raises:
        ParameterError: a number is out of its range, or a token lies outside the vocabulary.
    """

    codebook_size: int
    context: int
    model: Mapping[str, object]
    before: tuple[int, ...] = ()
    behind: tuple[int, ...] = ()
    mask: int | None = None
    unused: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.context <= len(self.before) + len(self.behind):
            raise ParameterError(f"context is {self.context}; it must leave room for a token of the text")
        if self.mask is None and not self.before:
            raise ParameterError("before is empty; a causal model needs a token that precedes the text")
        for word in (*self.before, *self.behind, *self.unused, *(() if self.mask is None else (self.mask,))):
            if not 0 <= word < self.codebook_size:
                raise ParameterError(f"word {word} lies outside the vocabulary of {self.codebook_size} words")


class _TransformerNetwork(nn.Module):
    """A model of transformers, made from its configuration; no code comes from anywhere but that package.

    Args:
        config: its shape.

    Raises:
        ModelError: transformers is not installed, or knows no such model.
    """

    kind = ""

    def __init__(self, config: TransformerConfig):
        super().__init__()
        try:
            import transformers
        except ModuleNotFoundError:
            raise ModelError(
                "transformers is not installed, which this model needs: pip install --no-deps -r "
                "requirements/large.txt, as ./run does when such a model is imported"
            ) from None
        self.config = config
        model = dict(config.model)
        try:
            known = transformers.AutoConfig.for_model(model.pop("model_type"), **model)
            # Buffers that no file of weights holds must be real ones.
            with torch.device("cpu"):
                self.model = getattr(transformers, self.kind).from_config(known, attn_implementation="eager")
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"transformers makes no model of this configuration: {error}") from None


class CausalNetwork(_TransformerNetwork):
    """Predicts the token behind each token of sequences of one length."""

    kind = "AutoModelForCausalLM"

    def __init__(self, config: TransformerConfig):
        super().__init__(config)
        # Its name before and after transformers 5.20 or so.
        taken = signature(self.model.forward).parameters
        self._memory = "cache" if "cache" in taken else "past_key_values"

    def forward(self, tokens: Tensor, memory: object | None) -> tuple[Tensor, object]:
        """Go on with sequences, int64 (n, m).

        Args:
            tokens: their next tokens.
            memory: what a call before this one returned; None at the beginning.

        Returns:
            float32 (n, m, codebook_size), logits of the token behind each, and the memory.
        """
        found = self.model(input_ids=tokens, use_cache=True, **{self._memory: memory})
        return found.logits.float(), found[self._memory]


class MaskedNetwork(_TransformerNetwork):
    """Predicts tokens of sequences of one length from all others."""

    kind = "AutoModelForMaskedLM"

    def forward(self, tokens: Tensor) -> Tensor:
        """Compute logits, float32 (n, m, codebook_size), of all tokens int64 (n, m)."""
        return self.model(input_ids=tokens).logits.float()
