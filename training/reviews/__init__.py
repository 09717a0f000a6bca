"""Reviews that were written and labelled for this project."""
