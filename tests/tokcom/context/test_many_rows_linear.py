import pytest
import torch

from tokcom.context import many_rows_linear
from tokcom.context.many_rows_linear import ManyRowsLinear


@pytest.mark.parametrize("offered", [True, False])
def test_products_of_many_rows_are_those_of_any_linear_layer(offered, monkeypatch):
    torch.manual_seed(2)
    layer = ManyRowsLinear(24, 40).requires_grad_(False)
    if not offered:
        monkeypatch.setattr(many_rows_linear, "onednn_linear", lambda: None)
    for rows in (1, 32, 70):
        x = torch.randn(rows, 24)
        expected = x.double() @ layer.weight.double().T + layer.bias.double()
        with torch.inference_mode():
            assert layer(x).double().numpy() == pytest.approx(expected.numpy(), abs=1e-5)


def test_what_pytorch_does_not_offer_is_not_relied_on(monkeypatch):
    def missing(*arguments):
        raise RuntimeError("no such operator")

    for offered in (missing, lambda x, weight, *others: x @ weight.T + 1):
        many_rows_linear.onednn_linear.cache_clear()
        with monkeypatch.context() as patch:
            patch.setattr(torch.ops.mkldnn, "_linear_pointwise", offered, raising=False)
            assert many_rows_linear.onednn_linear() is None
    many_rows_linear.onednn_linear.cache_clear()
