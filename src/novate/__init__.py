"""novate: a self-custodial options exchange whose rules are one published integer program."""
