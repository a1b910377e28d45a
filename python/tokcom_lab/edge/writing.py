"""Texts that a large causal model at an edge server writes, drafted by a small one on the device."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from tokcom.context.causal import CausalPrior
from tokcom.context.language_model import LanguageModel
from tokcom.context.llama_network import LlamaConfig, LlamaNetwork
from tokcom.context.sampling import Sampling, continued
from tokcom.offload.continuation import DraftingPrior
from tokcom.offload.server import EdgeServer
from tokcom.offload.work import EdgeModel

TINY = LlamaConfig(64, 16, 2, 2, 1, 24, 128, 1e4, 1e-5, 0, (0,))
"""Shape of random networks, whose texts are many."""
LIKENESS = 0.05
"""Standard deviation of the difference of a small random network's weights from the large one's, which have 1."""
PATIENCE_S = 300.0
"""Deadline, long enough that no question is given up."""


@dataclass(frozen=True)
class Writing:
    """Way to write texts.

    Attributes:
        rule: of `offload.continuation.RULES`.
        temperature: as in `Sampling`.
        drafts: words per question.
    """

    rule: str
    temperature: float
    drafts: int


def tiny_models(seed: int = 0) -> tuple[CausalPrior, CausalPrior]:
    """Make a random causal network and one like it."""
    torch.manual_seed(seed)
    large, small = LlamaNetwork(TINY), LlamaNetwork(TINY)
    for own, other in zip(large.parameters(), small.parameters(), strict=True):
        own.data = torch.randn_like(own)
        other.data = own.data + LIKENESS * torch.randn_like(own)
    networks = (each.eval().requires_grad_(False) for each in (large, small))
    return tuple(LanguageModel(each, "tiny", int8=False) for each in networks)


def writing_rows(
    large: CausalPrior, small: CausalPrior, prompts: Sequence[np.ndarray], words: int, ways: Sequence[Writing],
    seed: int = 0, progress: Callable[[int], None] = lambda done: None,
) -> list[dict]:  # fmt: skip
    """Write texts in several ways, each alone by the large model, too.

    Args:
        large: the model at the server, which runs in this process.
        small: the model on the device.
        prompts: beginnings of the texts, int (n,) each.
        words: words to write of each.
        ways: ways to write them.
        seed: seed of the first text; each further one has the next.
        progress: called with the number of texts done since the last call.

    Returns:
        Rows of rule, temperature, drafts, texts, identical (texts that are the large model's own), accepted (share of
        drafted words), words_per_round, upload_bits (bits per drafted word), upload_bits_per_word (bits of all messages
        to the server per word written, prompts included), slower (time relative to the large model alone).
    """
    rows = []
    with EdgeServer([EdgeModel(large)], "tcp://127.0.0.1:0") as server:
        for way in ways:
            device = DraftingPrior(
                server.endpoint, small, drafts=way.drafts, rule=way.rule, deadline_s=PATIENCE_S
            )  # fmt: skip
            identical, together, alone = 0, 0.0, 0.0
            for number, prompt in enumerate(prompts):
                sampling = Sampling(way.temperature, seed + number)
                start = time.perf_counter()
                found = device.continued(prompt, words, sampling)
                middle = time.perf_counter()
                own = continued(large, prompt, words, sampling)
                alone += time.perf_counter() - middle
                together += middle - start
                identical += bool(found.by_edge.all() and np.array_equal(found.tokens, own))
                progress(1)
            counters, sent = device.counters, device.connection.counters.bytes_sent
            device.connection.close()
            rows.append({
                "rule": way.rule, "temperature": way.temperature, "drafts": way.drafts, "texts": len(prompts),
                "words": words, "identical": identical, "accepted": counters.accepted / counters.drafted,
                "words_per_round": counters.written / counters.rounds,
                "upload_bits": counters.draft_bits / counters.drafted,
                "upload_bits_per_word": 8 * sent / counters.written, "slower": together / alone,
            })  # fmt: skip
    return rows
