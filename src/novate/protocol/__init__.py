"""The law: integers only, no float, clock, input, output or randomness. It imports nothing of ours but the
kernel.
"""
