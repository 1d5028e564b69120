"""Trust in an answer: words, image and object inside the training, and calibrated confidence."""
