"""From labelled titles and reviews to a bundle that the worker serves."""
