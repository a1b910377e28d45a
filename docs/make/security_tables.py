"""Tables of what the shape of bursts tells."""

from tables import figures, markdown, table

SHAPES = {"adapted": "adapted to each frame", "constant": "one shape"}


@table("leakage")
def leakage() -> str:
    """Make the table of kinds of pictures and of texts that are told apart."""
    rows = []
    for name in ("leakage", "leakage-text"):
        report = figures(f"{name}.json")
        kind = f"{len(report['classes'])} classes of pictures" if name == "leakage" else "pages and docstrings"
        for row in report["leakage"]:
            more = row.get("airtime_over_adapted")
            rows.append(
                (
                    f"{kind}, {row['esn0_db']:g} dB",
                    SHAPES[row["shape"]],
                    f"{row['accuracy']:.0%} ± {row['standard_error']:.0%}, by chance {row['chance']:.0%}",
                    f"{row['pairs']:.1%}",
                    f"{row['airtime_samples']:.0f}" + ("" if more is None else f" ({more:+.1%})"),
                    f"{row['expected_ter']:.2%}",
                )
            )
    head = (
        "frames, Es/N0",
        "shape of bursts",
        "kind found",
        "one of two told",
        "airtime in samples",
        "expected wrong tokens",
    )
    return markdown(head, rows)
