"""The precision in which networks run where it costs nothing that counts: training, and the search for tokens."""

import torch


def precision() -> torch.dtype:
    """bfloat16 where the processor multiplies it natively, else float32."""
    native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.bfloat16 if native else torch.float32


def autocast() -> torch.autocast:
    """Context in which networks run in the `precision()` of this machine."""
    return torch.autocast("cpu", precision(), enabled=precision() != torch.float32)
