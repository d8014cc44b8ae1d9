"""A deterministic simulator: one seed decides everything that happens around the production code.

`python -m simulation --seed 7` lives one seed through and prints its trace; docs/guides/simulation.md tells
how it works.
"""
