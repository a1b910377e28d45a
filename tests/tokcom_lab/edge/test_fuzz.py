from tokcom.offload.messages import PREDICTION
from tokcom.offload.wire import opened
from tokcom_lab.edge import fuzz
from tokcom_lab.edge.fuzz import READERS, _valid, fuzzed


def test_spoilt_messages_raise_nothing_but_message_errors():
    found = fuzzed(3000, seed=1)
    assert found["raised"] == 0, found["first"]
    assert found["refused"] + found["read"] == 3000
    assert found["refused"] > 1000


def test_there_is_a_valid_message_of_every_kind():
    kinds = set()
    for message in _valid():
        kind, _, reader = opened(message)
        if kind != PREDICTION:  # they answer different questions, of which each reader knows one
            READERS[kind](reader)
        kinds.add(kind)
    assert kinds == set(READERS)


def test_what_raises_is_counted_and_told(monkeypatch):
    def broken(reader):
        raise ZeroDivisionError("oh")

    monkeypatch.setattr(fuzz, "READERS", dict.fromkeys(READERS, broken))
    found = fuzzed(50)
    assert found["raised"] > 0
    assert found["first"].startswith("ZeroDivisionError: oh")
