"""People look at clips beside their captions and decide."""
