"""Token communications: pictures, text and speech over the air as tokens of a shared codebook."""

from tokcom.kernel_cache import provide_kernel_cache

__version__ = "0.1.0"

# Before anything that Numba compiles is imported.
provide_kernel_cache()
