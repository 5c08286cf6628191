"""Whether half precision pays on the machine at hand."""

import torch


def bfloat16_is_fast(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 matrices itself; where it does not, they are slower than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu" or not hasattr(torch.cpu, "get_capabilities"):  # older PyTorch does not tell
        return False
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
