"""Text -> remembered sentiment: in the process, then in Redis. Never an authority: outputs do not depend on it."""
