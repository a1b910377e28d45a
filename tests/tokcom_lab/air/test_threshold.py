import pytest

from tokcom_lab.air.threshold import threshold


@pytest.mark.parametrize("place", [-0.4, 3.1, 17.77, 35.2])
def test_the_threshold_of_a_known_curve_is_found(place):
    seen = []

    def per(esn0_db):
        seen.append(esn0_db)
        return min(1.0, 0.1 * 10 ** -(esn0_db - place))

    assert threshold(per, -1.0) == pytest.approx(place, abs=0.02) and len(seen) < 15


def test_there_is_none_where_too_many_are_lost_at_the_end():
    assert threshold(lambda esn0_db: 0.11, 0.0) is None


def test_it_may_lie_where_the_search_begins():
    assert threshold(lambda esn0_db: 0.0, 2.0) == pytest.approx(2.0, abs=0.1)


def test_a_cliff_is_found_too():
    assert threshold(lambda esn0_db: float(esn0_db < 8.3), 0.0) == pytest.approx(8.3, abs=0.26)
