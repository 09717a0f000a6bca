"""`tagline bench`: how fast the worker is here, as ratios against simpler programs measured in the same run."""
