"""Commands of `tokcom` in the laboratory. As in `tokcom.cli`, modules import at the top only what `--help` needs."""
