"""Write docs/man/tokcom.1 from the commands: ./run docs man."""

import re
import sys
from pathlib import Path

import click
from command_page import commands

import tokcom
from tokcom.cli.main import main

FILE = Path(__file__).resolve().parents[1] / "man" / "tokcom.1"
ENDING = r"""
.SH ENVIRONMENT
.TP
.B TOKCOM_MODELS
Folders of models, with colons between, that are searched before those that were installed, and those before
.I models
in the working folder.
.TP
.B NUMBA_CACHE_DIR
Where compiled kernels are kept if neither the library's folder nor the user's cache can be written; unless it is set,
then in a private folder for temporary files.
.TP
.B OMP_WAIT_POLICY
How PyTorch's threads wait for each other: PASSIVE unless it is set, which leaves a busy processor to others.
.SH EXIT STATUS
0 if all went well, 1 after an error, 2 if the command line is wrong, 130 if stopped by Ctrl\-C.
An error is one line on standard error that says what was wrong and what is allowed.
.SH EXAMPLES
.TP
.B tokcom doctor
What is installed, what is not right, and what to do.
.TP
.B tokcom link \-\-code k7 \-\-modulation 16qam \-\-esn0\-db 6,6.5,7
Packet and token error rates at three points.
.TP
.B tokcom replay recording.sigmf\-meta \-\-out pictures
The pictures of a recording.
.SH SEE ALSO
.BR gnuradio\-companion (1),
.BR uhd_find_devices (1);
the program
.B tokcom_demo
(photographs through the flowgraph) explains itself with
.BR \-\-help .
"""


def escaped(text: str) -> str:
    """Text as roff takes it."""
    text = " ".join(text.replace("\b", " ").split()).replace("\\", r"\e").replace("-", r"\-")
    return re.sub(r"^([.'])", r"\&\1", text)


def command_lines(path: tuple[str, ...], command: click.Command) -> list[str]:
    """A command's section."""
    context = click.Context(command, info_name=" ".join(path))
    usage = " ".join(command.collect_usage_pieces(context))
    lines = [f".SS {escaped(' '.join(path))}", f".B {escaped(' '.join(path))}", escaped(usage), ".PP"]
    lines += [escaped(part) + "\n.PP" for part in (command.help or "").split("\n\n")]
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record and parameter.name != "help":
            lines += [".TP", f".B {escaped(record[0])}", escaped(record[1]) or r"\ "]
    return lines


def manual() -> str:
    """The whole manual page."""
    (_, group), *below = commands(main, ("tokcom",))
    lines = [
        f'.TH TOKCOM 1 "" "gr\\-tokcom {tokcom.__version__}" "User Commands"',
        ".SH NAME",
        r"tokcom \- token communications: pictures over the air as tokens",
        ".SH SYNOPSIS",
        ".B tokcom",
        r".I COMMAND \fR[\fIOPTION\fR]...",
        ".SH DESCRIPTION",
        escaped(group.help or ""),
        ".PP",
        "The parts of the GNU Radio module gr\\-tokcom that need no flowgraph: error rates, recordings, training, and",
        "a check of the installation.",
        ".SH COMMANDS",
    ]
    for path, command in below:
        lines += command_lines(path, command)
    return "\n".join(lines) + ENDING


if __name__ == "__main__":
    FILE.write_text(manual(), encoding="utf-8")
    print(FILE)
    sys.exit()
