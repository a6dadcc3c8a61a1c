"""Measures servers of messenger.proto side by side."""
