"""What the documentation is made with: pages that are generated from the code, and what the site adds to ``docs/``."""
