"""The paper's case study (section VI): every scheme on the same photographs, packets, code, modulation and noise."""
