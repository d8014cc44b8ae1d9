"""Matching, held against a book that is too simple to be wrong and against an hour of Nasdaq's."""
