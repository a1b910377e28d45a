"""Commands are imported when they are called, and say in one line what they lack."""

import subprocess
import sys
from importlib import import_module

import click
import pytest
from click.testing import CliRunner

from tokcom.cli import groups
from tokcom.cli.groups import LazyGroup, Program
from tokcom.cli.main import main


def everything(command, path=()):
    """Every command below one, with its names."""
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            yield from everything(command.get_command(context, name), (*path, name))


def test_every_command_is_where_its_group_looks_for_it_and_says_what_it_is():
    found = dict(everything(main))
    assert {("replay",), ("models", "map"), ("bench", "air"), ("train",)} <= found.keys()
    for path, command in found.items():
        assert command.help and (not path or command.name == path[-1]), path


def test_help_loads_neither_numpy_nor_anything_slow():
    code = """
import sys
from tokcom.cli.main import main
for arguments in ([], ["bench"], ["train"], ["bench", "context"], ["models"]):
    try:
        main([*arguments, "--help"], prog_name="tokcom")
    except SystemExit:
        pass
print({"numpy", "numba", "scipy", "torch", "gnuradio"} & sys.modules.keys())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()" and "case-study" in done.stdout


def without(package):
    """import_module where a package is not installed."""

    def load(name):
        if name.split(".")[0] == package:
            raise ModuleNotFoundError(f"No module named {package!r}", name=package)
        return import_module(name)

    return load


@pytest.mark.parametrize("arguments", ["train tokenizer --data x", "bench air --quick", "bench", "link --help"])
def test_without_the_laboratory_its_commands_say_what_to_install(arguments, monkeypatch):
    monkeypatch.setattr(groups, "import_module", without("tokcom_lab"))
    bare = Program(name="tokcom", places=main._places)
    done = CliRunner().invoke(bare, arguments.split())
    assert done.exit_code == 1 and done.output.count("\n") == 1
    assert f"{arguments.split()[0]} belongs to the laboratory" in done.output and "gr-tokcom-lab" in done.output
    listed = CliRunner().invoke(bare, ["--help"]).output
    assert "(of the laboratory, which is not installed)" in listed and "Decode the bursts" in listed


def test_a_package_that_is_missing_is_named():
    bare = Program(name="tokcom", places={})

    @bare.command()
    def draw():
        raise ModuleNotFoundError("No module named 'matplotlib.figure'", name="matplotlib.figure")

    @bare.command()
    def broken():
        raise ModuleNotFoundError("No module named 'tokcom.nothing'", name="tokcom.nothing")

    done = CliRunner().invoke(bare, ["draw"])
    assert done.exit_code == 1 and "needs the Python package matplotlib" in done.output and "doctor" in done.output
    assert isinstance(CliRunner().invoke(bare, ["broken"]).exception, ModuleNotFoundError)


def test_a_command_that_does_not_exist_is_none():
    group = LazyGroup(name="all", places={"list": "tokcom.cli.models:list_installed"})
    context = click.Context(group)
    assert group.get_command(context, "lst") is None and group.get_command(context, "list").name == "list"
