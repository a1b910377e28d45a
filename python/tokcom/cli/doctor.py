"""`tokcom doctor`: check the installation."""

import sys

import click


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def doctor(as_json: bool) -> None:
    """Check the installation, and suggest remedies.

    GNU Radio, Python's packages, GNU Radio Companion's paths, models and their hashes, USRPs, processor, memory and
    real-time scheduling. The exit code is 1 if something stops the module.
    """
    from tokcom.doctor.report import doctor

    sys.exit(doctor(as_json))
