"""What people decide about captions, one by one and in bulk."""
