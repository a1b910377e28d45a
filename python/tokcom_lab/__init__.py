"""The laboratory: training, measuring and studies of token communications; `tokcom` itself never needs it."""
