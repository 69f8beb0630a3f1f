"""The course: its lessons, their checks and figures, and the building of notebooks and book."""
