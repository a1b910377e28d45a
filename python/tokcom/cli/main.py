"""The `tokcom` command, and the location of its subcommands."""

import click

import tokcom
from tokcom.cli.groups import Program

VERSION = click.version_option(tokcom.__version__, package_name="tokcom", message="gr-tokcom %(version)s")
COMMANDS = {
    "bench": "tokcom_lab.cli.bench:bench",
    "calibrate": "tokcom_lab.cli.fits:calibrate",
    "calibrate-text": "tokcom_lab.cli.text_fits:calibrate_text",
    "case-study": "tokcom_lab.cli.case_study:case_study",
    "compress": "tokcom.cli.source:compress",
    "decompress": "tokcom.cli.source:decompress",
    "doctor": "tokcom.cli.doctor:doctor",
    "eesm": "tokcom_lab.cli.fits:eesm",
    "escalation": "tokcom_lab.cli.edge:escalation",
    "keys": "tokcom.cli.keys:keys",
    "listen": "tokcom.cli.network:listen",
    "link": "tokcom_lab.cli.link:link",
    "models": "tokcom.cli.models:models",
    "packet-sizes": "tokcom_lab.cli.fits:packet_sizes",
    "relay": "tokcom.cli.network:relay",
    "repeat-risk": "tokcom_lab.cli.network:repeat_risk",
    "replay": "tokcom.cli.replay:replay",
    "residual": "tokcom_lab.cli.fits:residual",
    "residual-text": "tokcom_lab.cli.text_fits:residual_text",
    "send": "tokcom.cli.network:send",
    "serve": "tokcom.cli.edge:serve",
    "sentence-code": "tokcom_lab.cli.sentences:sentence_code",
    "speech": "tokcom_lab.cli.speech:speech",
    "text": "tokcom.cli.text:text",
    "train": "tokcom_lab.cli.train:train",
}
"""Module and name of each command; those of the laboratory are available if it is installed."""


@click.group(cls=Program, places=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@VERSION
def main() -> None:
    """Token communications: pictures over the air as tokens, with losses filled in at the receiver."""
