"""The course: what a reader, a teacher and whoever writes a lesson need around the library.

`lessons` is the list of lessons, with the course's own drawings; `figures` draws token chips and
diagrams; `checks` judges the exercises, a file for each lesson; `notebooks` builds what students
open from course/, and `stills` the pictures in it of widgets, by a browser; `tour` refuses links in
its prose that set no widget; `book` makes pages of it that need no kernel; `nbgrader` makes
assignments.
"""
