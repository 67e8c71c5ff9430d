"""What strangers try: each attack is a test that looks at what left, was read or was written, not at messages alone."""
