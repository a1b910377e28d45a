import importlib.util
import sys

import pytest

CALLEE = """
from tokcom.kernels import kernel

STEP = {step}

@kernel
def inner(x):
    return x + {added}
"""
CALLER = """
from callee import STEP, inner
from tokcom.kernels import kernel

@kernel
def outer(x):
    return later(x) * STEP

@kernel(error_model="numpy")
def later(x):
    return inner(x)
"""


@pytest.fixture
def imported(tmp_path, monkeypatch):
    """Imports the caller as a new process would, of a callee that is written now."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # Python tells files of one second apart by their size
    (tmp_path / "caller.py").write_text(CALLER, encoding="utf-8")

    def load(added=1, step=1):
        (tmp_path / "callee.py").write_text(CALLEE.format(added=added, step=step), encoding="utf-8")
        for name in ("callee", "caller"):
            spec = importlib.util.spec_from_file_location(name, tmp_path / f"{name}.py")
            module = importlib.util.module_from_spec(spec)
            monkeypatch.setitem(sys.modules, name, module)
            spec.loader.exec_module(module)
        return module.outer

    return load


def test_what_was_compiled_is_found_again(imported):
    assert imported()(2) == 3
    again = imported()
    assert again(2) == 3 and sum(again.stats.cache_hits.values()) == 1


@pytest.mark.parametrize("change", [{"added": 10}, {"step": 4}], ids=["callee", "constant"])
def test_a_change_in_another_file_compiles_anew(imported, change):
    assert imported()(2) == 3
    assert imported(**change)(2) == (2 + change.get("added", 1)) * change.get("step", 1)
    back = imported()
    assert back(2) == 3 and sum(back.stats.cache_hits.values()) == 1, "what was compiled before is still there"
