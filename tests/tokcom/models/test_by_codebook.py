import pytest

from tokcom.errors import ParameterError
from tokcom.models.by_codebook import load_detokenizers, load_expectations, load_recoveries
from tokcom.models.codebooks import codebook
from tokcom.models.fits import load_residual
from tokcom.models.installed import model_names


def test_models_are_named_in_a_list_or_between_commas(tiny_model):
    assert model_names("caltech64, photo256,,caltech64") == ["caltech64", "photo256"]
    assert model_names([tiny_model, "mine"]) == [str(tiny_model), "mine"] and model_names("") == []
    both = load_recoveries(f"caltech64,{tiny_model}", "list", "cpu")
    assert [each.name for each in both.members.codebooks.values()] == [
        codebook("caltech64").name, codebook(str(tiny_model)).name,
    ]  # fmt: skip
    assert both.members.loaded == ()
    for load in (load_recoveries, load_detokenizers, load_expectations):
        with pytest.raises(ParameterError, match="models is ' , '; it must name at least one"):
            load(" , ")
    with pytest.raises(ParameterError, match="mode is 'guess'"):
        load_recoveries("caltech64,photo256", "guess")
    with pytest.raises(ParameterError, match="device is 'gpu'"):
        load_recoveries("caltech64", device="gpu")


def test_what_receivers_leave_wrong_comes_with_their_prior():
    prior, residual = load_expectations("caltech64").find(codebook("caltech64").name)
    assert prior.codebook == codebook("caltech64").name and residual == load_residual("caltech64")
