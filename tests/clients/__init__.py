"""Programs that other people wrote, unmodified, against a real venue and a real gateway."""
