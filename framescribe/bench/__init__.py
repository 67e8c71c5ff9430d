"""Speed: the engine against the machine's ceilings, and against one clip at a time."""
