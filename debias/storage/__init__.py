"""Whole or not at all: files, seals, locks, run folders, tables, names."""
