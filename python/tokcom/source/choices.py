"""Ways to choose the tokens of a frame that are sent."""

SPREAD, CHECKERBOARD, REGIONS, RELEVANCE, DISTORTION, SURPRISE = CHOICES = (
    "spread", "checkerboard", "regions", "relevance", "distortion", "surprise",
)  # fmt: skip
