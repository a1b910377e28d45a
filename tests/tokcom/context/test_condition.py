from dataclasses import replace

import numpy as np
import pytest

from tokcom.context.condition import NOTHING, Condition
from tokcom.context.description import point_of
from tokcom.errors import ParameterError
from tokcom.frame import TokenFrame

FRAME = TokenFrame(np.array([1, 2]), "two", 4, cmi=3)


def test_it_is_a_value():
    embedding = np.array([1.0, 2.0])
    condition = Condition(embedding=embedding, before=FRAME)
    embedding[0] = 9
    assert condition == Condition(embedding=np.array([1, 2]), before=TokenFrame(np.array([1, 2]), "two", 4, cmi=3))
    assert hash(condition) == hash(Condition(embedding=np.array([1, 2]), before=FRAME))
    assert condition != NOTHING and condition.kinds == {"embedding", "before"}
    with pytest.raises(ValueError, match="read-only"):
        condition.embedding[0] = 0


def test_what_travelled_with_a_frame_is_its_label():
    assert Condition.of(FRAME) == Condition(label=3)
    assert Condition.of(TokenFrame(np.array([1]), "two", 4)) is NOTHING and NOTHING.kinds == set()


def test_a_description_travels_too():
    sentence = replace(FRAME, description=b"\2a dog")
    assert Condition.of(sentence) == Condition(3, text="a dog")
    point = replace(FRAME, description=bytes([1, 5, 6]))
    assert Condition.of(point) == Condition(3, embedding=point_of(bytes([1, 5, 6])))
    # A later kind, or what is none, says nothing.
    for unknown in (b"\x09abc", b"\1", b"\2", b"\2\xff", bytes([1] * 10)):
        assert Condition.of(replace(FRAME, description=unknown)) == Condition(3)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"label": -1}, "label is -1"), ({"embedding": np.zeros((2, 2))}, r"shape \(2, 2\)"),
        ({"embedding": np.array([np.nan])}, "finite"), ({"embedding": np.zeros(0)}, r"shape \(0,\)"),
    ],
)  # fmt: skip
def test_what_is_none_is_named(bad, message):
    with pytest.raises(ParameterError, match=message):
        Condition(**bad)
