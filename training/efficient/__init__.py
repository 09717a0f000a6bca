"""Parameter-efficient fine-tuning: few weights train, the encoder's own stay as they are. One file a method, one registry."""
