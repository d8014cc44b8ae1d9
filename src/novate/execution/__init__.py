"""The engine: runs the law fast. Books, tables, sequencer, journal, snapshots."""
