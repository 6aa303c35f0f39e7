"""A server for notes that keeps one SQLite database for each user."""
