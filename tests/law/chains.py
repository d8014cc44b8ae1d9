"""Where the tests of pricing find real option chains; a clone of the repository alone has none."""

from pathlib import Path

import pytest

SHARED = Path(__file__).parents[3] / "shared" / "data"
CHAINS = sorted((SHARED / "deribit_chain").glob("deribit_options_snapshot_*.csv.gz"))

needs_chains = pytest.mark.skipif(
    not CHAINS, reason="the recorded option chains are not beside the repository"
)
needs_vectors = pytest.mark.skipif(
    not (SHARED / "vectors").is_dir(), reason="the published vectors are not beside the repository"
)
