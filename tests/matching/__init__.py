"""The matching of the engine held against a book that is too simple to be wrong, and against a day of Nasdaq's."""
