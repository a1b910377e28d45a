"""Functions of SciPy used by the library, restricted to the calling processor."""

from tokcom.processors import blas_on_one_processor

with blas_on_one_processor():
    from scipy import fft, linalg, special

__all__ = ["fft", "linalg", "special"]
