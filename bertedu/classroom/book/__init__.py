"""The course as a book: pages that need no kernel, with every picture alive.

`content` turns Markdown, code and outputs into HTML; `site` executes the lessons, puts the pages
together and writes them.
"""
