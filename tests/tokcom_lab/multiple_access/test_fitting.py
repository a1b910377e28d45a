import numpy as np
from click.testing import CliRunner
from safetensors.numpy import load_file

from tokcom.multiple_access.codebook import ModulationCodebook
from tokcom_lab.cli.vectors import vectors
from tokcom_lab.multiple_access.fitting import fit_vectors


def nearest(rows):
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return np.sort((rows @ rows.T)[np.triu_indices(len(rows), 1)])[-20:].mean()


def test_fitted_vectors_are_farther_apart_than_random_ones():
    found = fit_vectors(4, 8.0, words=48, steps=60)
    assert found.shape == (48, 8) and found.dtype == np.int8
    np.testing.assert_allclose(np.linalg.norm(found.astype(float), axis=1).std(), 0, atol=1)
    random = ModulationCodebook(48, 4, 1).vectors.view(np.float32)
    assert nearest(found.astype(float)) < nearest(random) - 0.1
    assert np.array_equal(fit_vectors(4, 8.0, words=48, steps=60), found)


def test_the_command_writes_what_a_codebook_reads(tmp_path):
    out = tmp_path / "vectors.safetensors"
    assert CliRunner().invoke(vectors, ["--steps", "20", "--out", str(out)]).exit_code == 0
    assert {name: rows.shape for name, rows in load_file(out).items()} == {
        str(length): (1024, 2 * length) for length in (8, 12, 16)
    }
