"""The receiver judged by impairments written apart from `tokcom.channel`, beside a receiver that knows all."""
