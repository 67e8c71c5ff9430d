"""Training: captioned clips to a checkpoint, through the prompt and the model that inference uses."""
