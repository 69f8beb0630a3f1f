"""The course: what a reader, a teacher and whoever writes a lesson need around the library.

`lessons` is the list of lessons, with the course's own drawings; `museum` has the floor plan of
lesson 12; `figures` draws token chips and diagrams; `checks` judges the exercises, a file for each
lesson; `notebooks` builds what students open from course/, and `stills` the pictures in it of
widgets, by a browser; `book` makes pages of it that need no kernel; `nbgrader` makes assignments.
"""
