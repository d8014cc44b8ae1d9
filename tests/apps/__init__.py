"""Tests of the programs as their users run them."""
