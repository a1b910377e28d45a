"""Laboratory of token communications: training, measurements and studies; `tokcom` itself never needs it."""
