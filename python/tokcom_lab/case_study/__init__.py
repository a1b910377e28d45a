"""Case study of the paper (section VI): all schemes on the same photographs, packets, code, modulation and noise."""
