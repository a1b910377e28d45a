"""Functions of SciPy used by the library, restricted to the calling processor."""

from tokcom.processors import blas_on_one_processor

with blas_on_one_processor():
    from scipy import fft, linalg, special
    from scipy.optimize import linear_sum_assignment

__all__ = ["fft", "linalg", "linear_sum_assignment", "special"]
