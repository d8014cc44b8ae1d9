"""A second implementation of the law, written from its text alone, to judge the engine by."""
