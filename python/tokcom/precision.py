"""The precision in which networks run where it costs nothing that counts: training, and the search for tokens."""

import torch


def precision(device: str | torch.device = "cpu") -> torch.dtype:
    """bfloat16 where the device multiplies it natively, else float32."""
    if torch.device(device).type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.bfloat16 if native else torch.float32


def autocast(device: str | torch.device = "cpu") -> torch.autocast:
    """Context in which networks run in the `precision()` of a device."""
    dtype = precision(device)
    return torch.autocast(torch.device(device).type, dtype, enabled=dtype != torch.float32)
