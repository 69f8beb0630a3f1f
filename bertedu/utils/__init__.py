"""Small helpers, each in one place: files, the hub, validation, and WordPiece training."""
