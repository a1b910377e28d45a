"""What is recorded of a command: called anew, it means the same."""

import shlex
from pathlib import Path

import click
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from tokcom.cli.command_line import recorded_command
from tokcom.cli.options import Aside, Names, Numbers, WholeNumbers

said = []


@click.group()
def main():
    pass


@main.group()
def bench():
    pass


@bench.command()
@click.argument("part")
@click.option("--data", multiple=True, type=click.Path(path_type=Path))
@click.option("--steps", type=int)
@click.option("--rate", type=float, default=0.25)
@click.option("--esn0-db", type=Numbers(), default="1,2.5")
@click.option("--visits", type=WholeNumbers())
@click.option("--modes", type=Names(), default="list,context")
@click.option("--warm-start", is_flag=True)
@click.option("--jobs", cls=Aside, default=2)
def run(**values):
    said.append((values, recorded_command(steps=values["steps"] or 7)))


def call(words):
    said.clear()
    result = CliRunner().invoke(main, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return said[0]


def test_defaults_are_spelled_out_files_lose_their_folders_and_what_changes_nothing_is_left_out():
    words = ["bench", "run", "part one", "--data", "/a/b/c.tar", "--data", "d", "--jobs", "9", "--warm-start"]
    assert call(words)[1] == (
        "./run bench run 'part one' --data c.tar --data d --steps 7 --rate 0.25 --esn0-db 1,2.5 --modes list,context "
        "--warm-start"
    )


@given(
    st.text("abc '\"$", min_size=1), st.integers(1, 10**12), st.floats(allow_nan=False, allow_infinity=False),
    st.lists(st.floats(-1e9, 1e9), min_size=1), st.lists(st.integers(0, 2**31 - 1), min_size=1), st.booleans(),
)  # fmt: skip
def test_called_anew_it_means_the_same(part, steps, rate, esn0_db, visits, warm):
    words = ["bench", "run", f"--steps={steps}", f"--rate={rate!r}", f"--esn0-db={','.join(map(repr, esn0_db))}",
             f"--visits={','.join(map(str, visits))}", *(["--warm-start"] if warm else []), part]  # fmt: skip
    values, recorded = call(words)
    assert values["rate"] == rate and values["esn0_db"] == esn0_db and values["visits"] == visits
    again, recorded_again = call(shlex.split(recorded)[1:])
    assert again == values and recorded_again == recorded
