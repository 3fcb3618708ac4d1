"""Hostile bytes into every parser: the targets, and what drives them."""
