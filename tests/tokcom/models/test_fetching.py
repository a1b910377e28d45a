import threading

import pytest

from tokcom.models.codebooks import codebook
from tokcom.models.fetching import MAX_ASKED, ModelFetcher
from tokcom.models.shelf import ModelShelf
from tokcom.offload.server import EdgeServer

pytest.importorskip("zmq")


def test_a_model_that_is_missing_comes_once(tiny_model, tmp_path):
    number, arrived, said = codebook(str(tiny_model)).id, [], []
    with EdgeServer([], "tcp://127.0.0.1:0", shelf=ModelShelf([str(tiny_model)])) as server:
        fetcher = ModelFetcher(server.endpoint, tmp_path / "to", (), arrived.append, said.append)
        for wanted in (number, 1, number, 1):
            fetcher.want(wanted)
        fetcher.close(60)
    assert arrived == [str(tmp_path / "to/tiny")]
    assert len(said) == 2
    assert "has come" in said[0]
    assert "0x00000001 cannot be had" in said[1]
    assert codebook(arrived[0]).id == number


def test_a_sender_that_names_many_codebooks_costs_few_questions(monkeypatch, tmp_path):
    asked, go_on = [], threading.Event()

    def pull(server, name, *_):
        go_on.wait()
        asked.append(name)

    monkeypatch.setattr("tokcom.models.fetching.pull", pull)
    fetcher = ModelFetcher("nowhere", tmp_path, (), lambda folder: None)
    for number in range(1000):
        fetcher.want(number)
    go_on.set()
    fetcher.close(60)
    assert asked == [f"0x{number:08x}" for number in range(MAX_ASKED)]
