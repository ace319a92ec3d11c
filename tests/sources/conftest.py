"""Fixtures for the sources."""

from tests.sources.fake_hub import fake_hub

__all__ = ["fake_hub"]
