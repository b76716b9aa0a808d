"""What a reader meets before the first chapter: is this machine ready, and where is the book?"""
