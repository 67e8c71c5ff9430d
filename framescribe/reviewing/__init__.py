"""The page on which clips are looked at beside their captions, and its server."""
