"""How far answers move when a text is written otherwise."""
