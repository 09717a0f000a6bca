"""The report on a model: measured, drawn, written."""
