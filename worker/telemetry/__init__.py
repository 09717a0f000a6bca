"""Logs, metrics and health: what the stages leave behind for people and machines to read."""
