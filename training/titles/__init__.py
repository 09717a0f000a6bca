"""Tones of product titles, by documented rules."""
