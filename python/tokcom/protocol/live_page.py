"""A page of what a receiver has received, that follows by itself."""

import html
import os
from collections.abc import Sequence
from pathlib import Path

from tokcom.errors import PictureError

SHOWN = 60
"""Frames on the page; the newest come first."""
_HEAD = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="1"><title>Received</title><style>
body { font: 14px system-ui, sans-serif; margin: 1.5rem; background: #fff; color: #222 }
h1 { font-size: 1.2rem } ul { list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: 1rem }
li { width: 168px } img { width: 168px; height: 168px; image-rendering: pixelated; background: #ddd }
p { margin: .3rem 0 0 } .lost { color: #a33 }
</style></head><body>
"""


class LivePage:
    """Writes index.html into a folder, again with every frame; a browser that shows it loads it once a second.

    Args:
        folder: where the pictures are, created if missing.

    Raises:
        PictureError: the folder cannot be created, or the page not written.
    """

    def __init__(self, folder: Path):
        self.path = folder / "index.html"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise PictureError(f"{folder}: no page can be written here: {error.strerror}") from None
        self.write([])

    def write(self, rows: Sequence[dict], received: int = 0) -> None:
        """Show the newest of `received` frames.

        Args:
            rows: `frame`, `packets`, `lost`, `guessed` and `ms` of each, and its `picture`, with or without
                `caption`, or its `text`.
            received: frames in all.

        Raises:
            PictureError: the page cannot be written.
        """
        items = "".join(self._item(row) for row in list(rows)[-SHOWN:][::-1])
        unfinished = self.path.with_suffix(".new")
        try:
            unfinished.write_text(
                f"{_HEAD}<h1>{received} frames received</h1><ul>{items}</ul></body></html>\n", encoding="utf-8"
            )
            os.replace(unfinished, self.path)
        except OSError as error:
            raise PictureError(f"{self.path}: the page cannot be written: {error.strerror}") from None

    @staticmethod
    def _item(row: dict) -> str:
        shown = ""
        if row.get("picture"):
            shown = f'<img src="{html.escape(row["picture"])}" alt="frame {row["frame"]}">'
            shown += f"<p>{html.escape(row['caption'])}</p>" if row.get("caption") else ""
        elif row.get("text"):
            shown = f"<blockquote>{html.escape(row['text'])}</blockquote>"
        lost = f'<span class="lost">{row["lost"]} of {row["packets"]} packets lost</span>'
        return (
            f"<li>{shown}<p>frame {row['frame']}, {row['ms']:g} ms<br>{lost}, {row['guessed']} tokens guessed</p></li>"
        )
