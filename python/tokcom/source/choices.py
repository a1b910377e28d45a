"""Ways to choose the tokens of a frame that are sent."""

SPREAD, CHECKERBOARD, REGIONS, RELEVANCE, SURPRISE = CHOICES = (
    "spread", "checkerboard", "regions", "relevance", "surprise",
)  # fmt: skip
