"""Written by the scripts in scripts/; never edited by hand."""
