"""Kafka: intake, publishing, rebalances, dead letters, topics. Knows nothing of models."""
