"""The model inside other libraries: each room imports its library, and nothing else does."""
