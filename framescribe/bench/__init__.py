"""How fast clips are captioned here: a model, a precision and a workload to clips per second, by phase."""
