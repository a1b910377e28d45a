"""The laboratory's commands of `tokcom`. As there, what stands at the top of a module is what `--help` waits for."""
