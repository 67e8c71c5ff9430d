"""Labels taught by example: small heads on pooled features, and clips that are alike by them."""
