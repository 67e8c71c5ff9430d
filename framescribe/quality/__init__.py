"""What is wrong with a caption, how it is mended, and how it is tidied for a trainer."""
