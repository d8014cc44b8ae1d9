"""The binding: contracts that hold the collateral, and the programs that talk to them."""
