"""What a run made, on one page that opens anywhere: counts, charts, and clips with their captions."""
