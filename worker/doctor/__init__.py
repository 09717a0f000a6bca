"""What `tagline doctor` looks at: facts are gathered from the world in one place and judged by pure functions in another."""
