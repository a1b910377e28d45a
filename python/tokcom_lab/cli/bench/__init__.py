"""`tokcom bench`: measurements, each beside a rival or a bound where there is one."""

import click

from tokcom.cli.groups import LazyGroup

HERE = "tokcom_lab.cli.bench"


@click.group(
    cls=LazyGroup,
    places={
        "accept": f"{HERE}.context:accept",
        "adaptation": f"{HERE}.adaptation:adaptation",
        "air": f"{HERE}.air:air",
        "coding": f"{HERE}.radio:coding",
        "compress": f"{HERE}.compression:compress",
        "context": f"{HERE}.context:context",
        "faults": f"{HERE}.air:faults",
        "flowgraph": f"{HERE}.radio:flowgraph",
        "mapping": f"{HERE}.tokens:mapping",
        "photographs": f"{HERE}.tokens:photographs",
        "phy": f"{HERE}.radio:phy",
        "power": f"{HERE}.adaptation:power",
        "todma": f"{HERE}.todma:todma",
        "tokens": f"{HERE}.tokens:tokens",
        "window": f"{HERE}.radio:window",
    },
)
def bench() -> None:
    """Measure: the link and its models on photographs, and the blocks beside GNU Radio's own."""
