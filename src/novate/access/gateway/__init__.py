"""The signing gateway: plain Deribit JSON-RPC from bots in, signed actions to a venue out.

It runs on the trader's own machine, because it holds a key.
"""
