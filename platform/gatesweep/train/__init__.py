"""The fit loop: optimizers, schedules, callbacks, checkpoints, seeds; and the Recorder protocol."""
