"""Helpers for the book on MLOps for Earth observation."""

__version__ = "0.1.0"
