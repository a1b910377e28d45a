"""Table of public models, from the file of `./run bench large`."""

from tables import figures, markdown, table

FILE = "large-models.json"


@table("large-models")
def large_models() -> str:
    """Make the table of what public models take, a row per part and kind of pass."""
    head = ["model", "part", "weights, M", "file, MB", "memory, MB", "load, s", "work", "GFLOP", "s", "share"]
    rows, seen = [], set()
    for row in figures(FILE)["rows"]:
        shape = (row["part"], row["parameters"], row["work"])
        if shape in seen:  # a tokenizer that several models have
            continue
        seen.add(shape)
        rows.append(
            [
                row["model"], row["part"], f"{row['parameters'] / 1e6:.0f}", row["file_mb"], row["memory_mb"],
                f"{row['load_s']:.1f}", row["work"], f"{row['gflop']:g}", f"{row['seconds']:.1f}",
                f"{row['share']:.2f}",
            ]
        )  # fmt: skip
    return markdown(head, rows)
