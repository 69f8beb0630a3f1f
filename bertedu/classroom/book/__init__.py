"""The course as a book: pages that need no kernel, with every picture alive."""
