"""A GPU's video decoder (NVDEC), through the two libraries that come with NVIDIA's driver."""
