"""The engine's speed beside the machine's ceilings, one clip at a time, and whole video files."""
