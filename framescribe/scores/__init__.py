"""What can be measured of a clip without a model: one small file each, over pictures and facts."""
