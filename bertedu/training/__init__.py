"""What both loops share: the optimizer, and checkpoints that are always whole."""
