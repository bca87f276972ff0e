"""What is learnt: one Lightning module and one data module per task, found by name in `registry`."""
