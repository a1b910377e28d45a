"""Files of unknown origin: read without running anything that they contain, within limits, or refused by name."""

import pickle
import sys
from pathlib import Path

import pytest
import torch

from tokcom.errors import ModelError
from tokcom.models.public import checkpoint
from tokcom.models.public.checkpoint import read_checkpoint
from tokcom.models.public.unpack import read_tensors

msgpack = pytest.importorskip("msgpack", reason="the packages of requirements/large.txt are not installed")


class Callback:
    """An object of a trainer, which lies beside the weights."""

    def __init__(self):
        self.best = 0.3


def test_a_trainers_objects_are_left_out(tmp_path, monkeypatch):
    """A Lightning checkpoint: its callbacks' classes need not be installed, and nothing of them is run."""
    path, weights = tmp_path / "last.ckpt", {"encoder.weight": torch.arange(3.0), "loss.weight": torch.ones(2)}
    monkeypatch.setattr(Callback, "__module__", "pytorch_lightning.callbacks")
    module = type(sys)("pytorch_lightning.callbacks")
    module.Callback = Callback
    for name in ("pytorch_lightning", module.__name__):
        monkeypatch.setitem(sys.modules, name, module)
    torch.save({"state_dict": weights, "callbacks": {Callback: Callback()}, "epoch": 3}, path)
    for name in ("pytorch_lightning", module.__name__):
        monkeypatch.delitem(sys.modules, name)
    found = read_checkpoint(path, ("encoder.",))
    assert list(found) == ["encoder.weight"] and found["encoder.weight"].tolist() == [0, 1, 2]


class Trap:
    """Its pickle makes a file, if it is run."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "plain pickle"])
def test_a_pickle_that_would_run_something_is_refused(tmp_path, zipped):
    path, trace = tmp_path / "weights.pth", tmp_path / "trace"
    content = {"a.weight": torch.zeros(1), "b": Trap(trace)}
    if zipped:
        torch.save(content, path)
    else:
        path.write_bytes(pickle.dumps(content))
    with pytest.raises(ModelError, match=r"weights\.pth: the weights cannot be read"):
        read_checkpoint(path)
    assert not trace.exists()


def test_damaged_and_foreign_files_are_named(tmp_path):
    for number, content in enumerate((b"", b"PK\x03\x04 and no more", b"<html>not found</html>")):
        path = tmp_path / str(number)
        path.write_bytes(content)
        with pytest.raises((ValueError, RuntimeError, OSError)):
            read_tensors(path)
    with pytest.raises(ValueError, match="neither a pickle of PyTorch nor a whole table of Flax"):
        read_tensors(tmp_path / "2")
    with pytest.raises(ModelError, match="0: the weights cannot be read: "):
        read_checkpoint(tmp_path / "0")


def test_what_is_no_table_of_tensors_is_named(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(msgpack.packb({"params": {"a": msgpack.ExtType(9, b"x")}}))
    with pytest.raises(ValueError, match="extension 9"):
        read_tensors(path)
    path.write_bytes(msgpack.packb([1, 2]))
    with pytest.raises(ValueError, match="holds a list, not a table of tensors"):
        read_tensors(path)


def test_a_bomb_meets_its_limit(tmp_path, monkeypatch):
    """Four bytes that stand for an array of any size are no such array; a file that is too large is not begun."""
    array = msgpack.packb(((1 << 40,), "float32", b"\0\0\0\0"), use_bin_type=True)
    path = tmp_path / "bomb"
    path.write_bytes(msgpack.packb({"params": {"a": msgpack.ExtType(1, array)}}))
    with pytest.raises(RuntimeError, match="shape"):
        read_tensors(path)
    monkeypatch.setattr(checkpoint, "MAX_BYTES", 10)
    with pytest.raises(ModelError, match="bytes; it must be a file of at most"):
        read_checkpoint(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ModelError, match="nothing: No such file"):
        read_checkpoint(tmp_path / "nothing")


def test_flax_arrays_of_16_bits(tmp_path):
    values = torch.tensor([1.5, -2.0]).bfloat16()
    array = msgpack.packb(((2,), "bfloat16", values.view(torch.int16).numpy().tobytes()), use_bin_type=True)
    path = tmp_path / "checkpoint"
    path.write_bytes(msgpack.packb({"target": {"params": {"a": {"b": msgpack.ExtType(1, array)}}}}))
    assert torch.equal(read_tensors(path)["a/b"], values)
