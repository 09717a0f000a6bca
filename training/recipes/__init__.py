"""Recipes: which data and which stages make a certain model."""
