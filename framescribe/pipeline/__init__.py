"""From a pile of video to rows in files."""
