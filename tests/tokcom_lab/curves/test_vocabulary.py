import pytest

from tokcom_lab.curves.vocabulary import VocabularyPoint, loss_db, vocabulary_points


def test_levels_lose_nothing_that_a_shared_rest_does():
    points = list(vocabulary_points(2000, 1.2, [16], [1.0], 60, seed=1))
    per = {point.prior: point.per for point in points}
    assert list(per) == ["all words", "16 words and levels", "16 words and rest"]
    assert per["16 words and levels"] == pytest.approx(per["all words"], abs=0.05)
    assert per["16 words and rest"] > per["all words"] + 0.05
    assert all(point.ms_per_packet > 0 and point.packets == 60 for point in points)


def test_a_loss_is_the_distance_of_parallel_curves():
    points = [
        VocabularyPoint(name, value, 10 ** -(value - shift), 1.0, 100)
        for value in (1.0, 1.5, 2.0)
        for name, shift in (("all words", 0.0), ("few", 0.2))
    ]
    assert loss_db(points) == {"few": pytest.approx(0.2)}
    assert loss_db(points[:2]) == {}
