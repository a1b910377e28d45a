import pytest
import torch

from tokcom import device
from tokcom.device import ONNX, device_name, find_device, precision, receiving_device, weights_dtype
from tokcom.errors import ParameterError


def test_auto_is_a_gpu_where_there_is_one(monkeypatch):
    for there in (True, False):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        assert find_device("auto").type == ("cuda" if there else "cpu")


@pytest.mark.parametrize("name", ["gpu", "cpu:1", "cuda:", "cuda:-1", "cuda:x", ""])
def test_other_names_are_refused(name, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ParameterError, match="it must be auto, cpu, cuda or cuda:N"):
        find_device(name)
    with pytest.raises(ParameterError, match="it must be auto, cpu, cuda, cuda:N or onnx"):
        receiving_device(name)


def test_a_gpu_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ParameterError, match="finds no GPU; use cpu"):
        find_device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(ParameterError, match="the GPUs of this machine are 0 to 1"):
        find_device("cuda:2")
    assert find_device("cuda:1") == torch.device("cuda", 1)


def test_onnx_runtime_is_for_receiving():
    assert receiving_device("onnx") == ONNX and receiving_device("cpu") == torch.device("cpu")
    with pytest.raises(ParameterError, match="'onnx', which runs no classifier, search or training"):
        find_device("onnx")


@pytest.mark.parametrize(("installed", "found"), [({"onnxruntime"}, ONNX), ({"torch", "onnxruntime"}, "cpu")])
def test_auto_without_pytorch_is_onnx_runtime(monkeypatch, installed, found):
    monkeypatch.setattr(device, "_installed", lambda package: package in installed)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert str(receiving_device("auto")) == found


def test_without_anything_to_run_networks_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(device, "_installed", lambda package: False)
    with pytest.raises(ParameterError, match="pip install torch; or install onnxruntime"):
        receiving_device("auto")


def test_a_card_names_processors_by_their_number():
    assert device_name(torch.device("cpu")) == f"{torch.get_num_threads()} processors"


def test_weights_are_halved_where_a_gpu_computes_in_half_precision(monkeypatch):
    assert weights_dtype(torch.device("cpu")) == torch.float32
    for native in (True, False):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation, native=native: native)
        assert precision("cuda") == (torch.bfloat16 if native else torch.float32)
        assert weights_dtype(torch.device("cuda")) == (torch.float16 if native else torch.float32)
