"""Video in, frames out: open a source, pick frames by timestamp, decode them, scale them for the model."""
