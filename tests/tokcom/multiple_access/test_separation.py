from dataclasses import replace

import numpy as np
import pytest

from tokcom.errors import ParameterError
from tokcom.multiple_access.receiver import observe
from tokcom.multiple_access.searcher import MultiUserSearcher
from tokcom.multiple_access.separation import SeparationSettings, Separator, Source


@pytest.fixture
def sent(plan):
    rng = np.random.default_rng(6)
    return np.stack([rng.integers(0, 32, plan.n_slots), rng.integers(32, 64, plan.n_slots)])


def seen(plan, samples):
    (burst,) = MultiUserSearcher(plan).push(samples)
    return observe(burst.samples, burst.start, burst.frequency, plan)


def test_without_priors_channels_tell_the_tokens(plan, air, sent):
    result = Separator().separate(seen(plan, air(sent)), [Source(), Source()])
    assert np.array_equal(result.tokens, sent) and result.passes == 0
    assert result.confidence.min() > 0.9


def test_where_channels_are_equal_context_tells_whose_a_token_is(plan, air, sent, table_prior, labels):
    observed = seen(plan, air(sent, gains=(1, 1), late=(0, 0), cfo=(0, 0), esn0_db=15))
    alone = Separator().separate(observed, [Source(), Source()])
    told = Separator().separate(observed, [Source(table_prior, label) for label in labels])
    assert (alone.tokens != sent).mean() > 0.2
    assert (told.tokens != sent).mean() < 0.02


def test_context_corrects_what_noise_hides(plan, air, sent, table_prior, labels):
    observed = seen(plan, air(sent, esn0_db=1))
    alone = Separator().separate(observed, [Source(), Source()])
    told = Separator().separate(observed, [Source(table_prior, label) for label in labels])
    wrong, before = (told.tokens != sent).mean(), (alone.tokens != sent).mean()
    assert wrong < 0.75 * before
    assert 1 - told.confidence.mean() == pytest.approx(wrong, abs=0.05)


def test_work_that_is_cancelled_ends_with_the_best_so_far(plan, air, sent, table_prior, labels):
    observed = seen(plan, air(sent, esn0_db=1))
    result = Separator().separate(observed, [Source(table_prior, label) for label in labels], lambda: True)
    assert result.passes == 0 and result.tokens.shape == sent.shape


def test_what_does_not_fit_is_refused(plan, air, sent, table_prior):
    observed = seen(plan, air(sent))
    with pytest.raises(ParameterError, match="1 sources for 2 users"):
        Separator().separate(observed, [Source()])
    table_prior.codebook_size = 65
    with pytest.raises(ParameterError, match="65 words"):
        Separator().separate(observed, [Source(table_prior), Source()])
    for wrong in ({"rounds": -1}, {"turns": 0}, {"inform": 0}, {"weight": 1.5}):
        with pytest.raises(ParameterError, match=next(iter(wrong))):
            SeparationSettings(**wrong)


def test_turned_symbols_tell_tokens_apart_where_channels_are_equal(plan, air, sent):
    turned = replace(plan, rotated=True)
    alike = {"gains": (1, 1), "late": (0, 0), "cfo": (0, 0), "esn0_db": 15}
    plain = seen(plan, air(sent, **alike))
    assert any("ports 0 and 1 have nearly the same channel" in hint for hint in plain.hints)
    observed = seen(turned, air(sent, plan=turned, **alike))
    assert observed.hints == ()
    assert np.array_equal(Separator().separate(observed, [Source(), Source()]).tokens, sent)
