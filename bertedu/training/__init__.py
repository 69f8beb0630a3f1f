"""What pretraining and fine-tuning share.

`batches` puts inputs of like length together, `step` makes one step of the optimizer, in one
process or in several, `checkpoints` writes what a run that was interrupted goes on from.
"""
