"""From a tagged event to what each subscriber wants. Pure functions; one file a subscriber."""
