"""`tokcom bench`: measurements, compared with another implementation or a bound if there is one."""

import click

from tokcom.cli.groups import LazyGroup

HERE = "tokcom_lab.cli.bench"


@click.group(
    cls=LazyGroup,
    places={
        "accept": f"{HERE}.context:accept",
        "adaptation": f"{HERE}.adaptation:adaptation",
        "air": f"{HERE}.air:air",
        "characters": f"{HERE}.characters:characters",
        "coding": f"{HERE}.radio:coding",
        "compress": f"{HERE}.compression:compress",
        "conditions": f"{HERE}.conditions:conditions",
        "context": f"{HERE}.context:context",
        "device": f"{HERE}.device:device",
        "edge": f"{HERE}.edge:edge",
        "faults": f"{HERE}.air:faults",
        "flowgraph": f"{HERE}.radio:flowgraph",
        "keys": f"{HERE}.security:keys",
        "large": f"{HERE}.large:large",
        "leakage": f"{HERE}.security:leakage",
        "leakage-text": f"{HERE}.security:leakage_text",
        "membership": f"{HERE}.security:membership",
        "mapping": f"{HERE}.tokens:mapping",
        "photographs": f"{HERE}.tokens:photographs",
        "network": f"{HERE}.network:network",
        "relevance": f"{HERE}.relevance:relevance",
        "phy": f"{HERE}.radio:phy",
        "power": f"{HERE}.adaptation:power",
        "repeats": f"{HERE}.repeats:repeats",
        "replicas": f"{HERE}.edge:replicas",
        "scale": f"{HERE}.edge:scale",
        "speech": f"{HERE}.speech:speech",
        "text": f"{HERE}.text:text",
        "text-policies": f"{HERE}.text_policies:text_policies",
        "todma": f"{HERE}.todma:todma",
        "tokens": f"{HERE}.tokens:tokens",
        "video": f"{HERE}.video:video",
        "vocabulary": f"{HERE}.context:vocabulary",
        "window": f"{HERE}.radio:window",
    },
)
def bench() -> None:
    """Measure: the link and its models on photographs, and the blocks beside GNU Radio's own."""
