"""Training of a Molmo on a user's labels: LoRA or all weights, label formats, and the loop that every training shares."""
