"""Tagline: a Kafka worker that tags product titles and reviews with sentiment."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("tagline")
except PackageNotFoundError:  # run from a source tree that was never installed
    __version__ = "0.0.0"
