"""Automated traders who try to cheat the engine, and the venue in which they try."""
