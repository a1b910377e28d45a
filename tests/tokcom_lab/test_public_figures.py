"""Figures of a model on photographs, beside what a prior whose probabilities are known must give."""

import numpy as np
import pytest

from tokcom.context.causal import CausalPrior
from tokcom.context.prior import Prior
from tokcom.errors import ModelError
from tokcom_lab.public_figures import SHARES, causal_figures, masked_figures, measure_parts

WORDS, N = 8, 20


class Known(Prior):
    """Half of the probability for the label's word, or for word 0 without a label; the rest even."""

    codebook, codebook_size, grid, num_classes = "known", WORDS, (N,), WORDS
    must_be_told = False

    def require_fit(self, frame, condition):
        super().require_fit(frame, condition)
        if self.must_be_told and condition.label is None:
            raise ModelError("no label")

    def log_probabilities(self, tokens, wanted, conditions):
        rows = []
        for line, condition in zip(wanted, conditions, strict=True):
            row = np.full(WORDS, 0.5 / (WORDS - 1), np.float32)
            row[condition.label or 0] = 0.5
            rows += [np.log(row)] * int(line.sum())
        return np.stack(rows)


def test_masked_tokens():
    """Tokens that are all the label's word: 1 bit each with the label, log2(14) without; all or none exact."""
    tokens = np.repeat([[3], [5]], N, 1)
    figures = masked_figures(Known(), tokens, (3, 5), 0)
    for share in SHARES:
        name = round(100 * share)
        assert figures[f"bits_at_{name}"] == pytest.approx(1) and figures[f"exact_at_{name}"] == 1
        assert figures[f"bits_at_{name}_without_cmi"] == pytest.approx(np.log2(14))
        assert figures[f"exact_at_{name}_without_cmi"] == 0
    strict = Known()
    strict.must_be_told = True
    assert set(masked_figures(strict, tokens, (3, 5), 0)) == {name for name in figures if "without" not in name}
    assert masked_figures(strict, tokens, (None, None), 0) == {}


def test_causal_models_are_measured_over_all_tokens():
    class KnownInOrder(Known):
        order = CausalPrior.order

    figures = causal_figures(KnownInOrder(), np.repeat([[3], [5]], N, 1), (3, None), 0)
    # With a label one frame; without, both.
    assert figures == pytest.approx({"bits": 1, "exact": 1, "bits_without_cmi": np.log2(14), "exact_without_cmi": 0})


def test_a_whole_model(tiny_model):
    from tokcom_lab.photographs import Photographs

    pictures = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), np.uint8)
    figures = measure_parts(str(tiny_model), Photographs(pictures, (0, 1, None), ("a", "b", "c"), "noise"))
    tokenizer, context = figures["tokenizer"], figures["context"]
    assert tokenizer["photographs"] == 3 and 0 < tokenizer["token_entropy_bits"] <= 5
    assert 1 <= tokenizer["codes_used"] <= 32 and 0 < tokenizer["psnr_db"] < 20
    assert len(context) == 4 * len(SHARES)
