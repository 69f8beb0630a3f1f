"""The course: what a reader, a teacher and whoever writes a lesson need around the library.

`lessons` is the list of lessons, with the course's own drawings; `museum` has the floor plan of
lesson 13; `figures` draws token chips and diagrams; `checks` judges the exercises, a file for each
lesson; `editions` makes two notebooks of each source in course/, `notebooks` executes and keeps
them, and `stills` draws the widgets in them, by a browser; `tour` refuses links in the prose that
set no widget; `claims` follows each number of it to the cell that shows it; `book` makes pages of
it that need no kernel; `nbgrader` makes assignments.
"""
