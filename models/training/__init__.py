"""The training loop, the optimizer step, checkpoints and logs."""
