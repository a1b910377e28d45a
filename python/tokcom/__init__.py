"""Token communications: pictures, text and speech over the air as tokens of a shared codebook."""

from tokcom.kernel_cache import provide_kernel_cache
from tokcom.processors import wait_asleep

__version__ = "0.1.0"

# Before later imports: both affect Numba's kernels and PyTorch.
provide_kernel_cache()
wait_asleep()
