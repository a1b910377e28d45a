import numpy as np
import pytest

from tokcom.errors import ParameterError
from tokcom.link.packet_link import LinkConfig
from tokcom_lab.curves.link_curve import link_curve

PACKETS = 20000


def close(measured, published, published_packets=20000):
    """Within 4 standard deviations of the difference of two Monte-Carlo estimates, and the published one's rounding."""
    deviation = np.sqrt(published * (1 - published) * (1 / PACKETS + 1 / published_packets))
    return abs(measured - published) < 4 * deviation + 0.0005


@pytest.mark.parametrize(
    ("code", "esn0_db", "figures"),
    [
        # K=7, CRC-16, max-log (docs/benchmarks/README.md).
        ("k7", 6, {"per": 0.132}),
        ("k7", 6.5, {"per": 0.063}),
        ("k7", 7, {"per": 0.025}),
        # The paper's link: its TER at 6, 7 and 8 dB is .15, .065 and .02, its PER .400, .201 and .070 (section VI-C).
        ("k3", 6, {"per": 0.577, "per_genie": 0.404, "ter": 0.152}),
        ("k3", 7, {"per": 0.364, "per_genie": 0.200, "ter": 0.066}),
        ("k3", 8, {"per": 0.188, "per_genie": 0.070, "ter": 0.021}),
    ],
)
def test_published_error_rates(code, esn0_db, figures):
    (point,) = link_curve(LinkConfig(code), [esn0_db], PACKETS, seed=11)
    assert {name: value for name, value in figures.items() if not close(getattr(point, name), value)} == {}
    assert point.undetected < 5e-4


def test_error_rates_are_ordered():
    """Undetected errors aside, a packet is lost at least as often as it is wrong, and that as often as a token."""
    points = list(link_curve(LinkConfig(), [3.0, 5.0, 30.0], 3000))
    assert all(point.per + point.undetected >= point.per_genie >= point.ter for point in points)
    assert points[0].per > points[1].per > points[2].per == 0


def test_the_figures_do_not_depend_on_the_threads():
    one, three = (list(link_curve(LinkConfig(), [6.0], 9000, threads=n)) for n in (1, 3))
    assert one == three


def test_progress_adds_up():
    seen = []
    list(link_curve(LinkConfig(), [6.0, 7.0], 5000, progress=seen.append))
    assert sum(seen) == 10000


def test_bad_parameters_are_named():
    with pytest.raises(ParameterError, match="packets is 0"):
        list(link_curve(LinkConfig(), [6.0], 0))
    with pytest.raises(ParameterError, match="esn0_db is nan"):
        list(link_curve(LinkConfig(), [float("nan")], 10))
