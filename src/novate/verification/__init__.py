"""The proof: replays what was published and compares every root. It never imports the engine."""
