"""Text to sentiment: normalise, tokenise, plan, pack, forward, calibrate.

Knows nothing of Kafka or Redis. Importing this package does not import torch.
"""
